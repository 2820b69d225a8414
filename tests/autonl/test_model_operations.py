"""Models by both clients, on a running API."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from autonl import AutonlError, Refused, model_operations
from store.stores import Stores
from tests.api.http_service import CONTENT, run_to_success, start
from tests.autonl.conftest import Caller


def test_a_model_is_promoted_rolled_back_downloaded_and_removed(
    caller: Caller, service: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    url = str(service.base_url)
    searches = []
    for _ in range(2):
        searches.append(start(service))
        run_to_success(stores, tmp_path)
        caller.run(url, model_operations.promote("products@prod", searches[-1], "because"))
    back = caller.run(url, model_operations.roll_back("products@prod", 2))
    assert (back.search_id, back.restores, back.is_current, back.dataset) == (searches[0], 1, True, "digits")
    assert caller.run(url, model_operations.alias("products@prod")) == back
    model = caller.run(url, model_operations.model("products"))
    assert [(one.number, one.note) for one in model.history] == [(3, ""), (2, "because"), (1, "because")]
    (listed,) = caller.run(url, model_operations.models())
    assert (listed.name, listed.aliases, listed.history) == ("products", (back,), ())
    file = caller.run(url, model_operations.download_model("products@prod", target=tmp_path / "network"))
    assert file.read_bytes() == CONTENT
    caller.run(url, model_operations.remove_alias("products@prod"))
    assert caller.run(url, model_operations.models()) == ()
    with pytest.raises(Refused, match="no alias 'prod' of a model 'products'"):
        caller.run(url, model_operations.alias("products@prod"))


@pytest.mark.parametrize("name", ["products", "products@", "@prod", ""])
def test_what_names_no_alias_is_refused_before_anything_is_sent(caller: Caller, name: str) -> None:
    with pytest.raises(AutonlError, match="names no alias of a model"):
        caller.run("http://127.0.0.1:9", model_operations.download_model(name))
