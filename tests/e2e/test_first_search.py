"""A new user of a service that needs keys: gets a key, runs the ten lines of docs/keys.md, and reads the usage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from autonl import Client, Refused
from cli.main import app
from tests.cli.test_up import up

PAGE = Path(__file__).parents[2] / "docs" / "keys.md"
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def autonl(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, prog_name="autonl")
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


@pytest.mark.timeout(600)  # half a minute on two free cores
@pytest.mark.long
def test_a_new_user_gets_a_key_runs_a_search_and_reads_its_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len([line for line in EXAMPLE.splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTONL_REQUIRE_KEYS", "true")
    here = ("--data-dir", str(tmp_path / "service"))
    with up(tmp_path / "service") as service:
        url = str(service.client.base_url)
        with Client(url, retries=0) as stranger, pytest.raises(Refused) as refused:
            stranger.start_search("digits", "400k")
        assert refused.value.status == 401
        autonl("tenants", "create", "ants", *here)
        monkeypatch.setenv("AUTONL_KEY", autonl("keys", "create", "--tenant", "ants", "--name", "laptop", *here))
        monkeypatch.setenv("AUTONL_URL", url)

        exec(compile(EXAMPLE, str(PAGE), "exec"), {})  # noqa: S102  (our own page)

        printed = capsys.readouterr().out
        assert "succeeded" in printed
        assert "% of test images correct" in printed
        assert (tmp_path / "digits.onnx").stat().st_size > 1000
        with Client() as client:
            (search,) = client.searches()
            used_s = sum(attempt["compute_s"] for attempt in client.search(search.id).document["attempts"])
            total = client.usage()["total"]
        assert (total["searches"], total["compute_s"]) == (1, pytest.approx(used_s))
        assert f"1 search, {total['compute_s']} CPU seconds" in printed
        assert used_s > 1
        with Client(key=autonl("keys", "create", *here)) as other:  # of the tenant `default`
            assert list(other.searches()) == []
            assert other.usage()["total"]["searches"] == 0
