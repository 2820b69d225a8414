"""How the fuzzer makes its requests: which ids and names are real, and how often an operation gets one of them."""

from __future__ import annotations

import hashlib
from typing import Any

from api.problems import TYPES
from tests.api.http_service import CONTENT
from tests.fuzz.seeded_service import Stock

# What invalid data may be answered with. Unlike by default, 413 is among them: some of it is larger than the limit.
_REFUSED = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429"]
STREAM_S = 1.0  # how long a stream of events is listened to at most


def configuration(base_url: str, stocked: Stock, max_examples: int, max_scenarios: int) -> dict[str, Any]:
    """Every check, every phase, valid and invalid data; half of the ids are real."""
    generation = {"mode": "all", "deterministic": True, "no-shrink": True, "max-examples": max_examples}
    return {
        "seed": 1,
        "base-url": base_url,
        "request-timeout": 5 * STREAM_S,
        "max-stream-events": 1,
        "continue-on-failure": True,
        "warnings": False,
        "suppress-health-check": ["too_slow"],  # to generate data: of a busy machine, not of the service
        "generation": generation,
        "phases": {
            "coverage": {"generate-duplicate-query-parameters": True},
            # Values from responses grow in number while an operation is tried. Draws are then not repeatable, and the
            # fuzzer silently leaves the operation after a few requests.
            "fuzzing": {"extra-data-sources": {"responses": False}},
            "stateful": {"generation": generation | {"max-examples": max_scenarios}},
        },
        "checks": {
            "enabled": True,
            "max_response_time": 2,
            "negative_data_rejection": {"expected-statuses": _REFUSED},
        },
        "dictionaries": _dictionaries(stocked),
        "parameters": _parameters(),
        "operations": _operations(stocked, generation | {"max-examples": 3 * max_examples}),
    }


def _dictionaries(stocked: Stock) -> dict[str, Any]:
    """What requests name that exists."""
    return {
        "searches": {"values": stocked.searches},
        "finished": {"values": stocked.finished},
        "kept": {"values": stocked.kept},
        "deleted": {"values": [*stocked.deleted, stocked.searches[0]]},  # which never ends: no worker runs it
        **{name: {"values": ids} for name, ids in stocked.controlled.items()},
        "architectures": {"values": [stocked.arch_id]},
        "datasets": {"values": stocked.datasets},
        "paths": {"values": stocked.dataset_paths},
        "keys": {"values": [stocked.key]},
        "key_ids": {"values": [stocked.key_id]},
        "budgets": {"values": [400_000, "400k", "0.35M"]},
        "tags": {"values": ["*", '"none", *']},
        "moments": {"values": ["2026-01-31T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]},
        "problems": {"values": list(TYPES)},
        "formats": {"values": ["safetensors"]},
        "kept_datasets": {"values": [stocked.kept_dataset]},
        "deleted_datasets": {"values": stocked.deleted_datasets},
        "labels": {"values": [0, 1]},
        "weights": {"values": [*stocked.weights, "efficientnet-lite0"]},
        "deleted_weights": {"values": ["bad", "new"]},
        "webhooks": {"values": [stocked.webhook_id]},
        "deleted_webhooks": {"values": stocked.deleted_webhooks},
        "deliveries": {"values": [stocked.delivery_id]},
        "models": {"values": stocked.models},
        "aliases": {"values": stocked.aliases},
        "numbers": {"values": [3, 4, 5]},
        "devices": {"values": stocked.devices[:1]},
        "deleted_devices": {"values": stocked.devices[1:]},
        "urls": {"values": ["https://hooks.example/autonl", "https://8.8.8.8:8443/?a=b"]},
        "file_tags": {"values": [f'"{hashlib.sha256(CONTENT).hexdigest()}"', '"of-another-file"']},
        "ranges": {"values": ["bytes=0-99", "bytes=9-", "bytes=0-", "bytes=-100", "bytes=99999999-", "bytes=-0"]},
    }


def _parameters() -> dict[str, Any]:
    """Which of them every operation takes, unless it has parameters of its own."""
    return {
        "path.search_id": _sometimes("searches"),
        "query.created_after": _sometimes("moments"),
        "query.search_id": _sometimes("finished"),
        "path.arch_id": _sometimes("architectures", 0.8),
        "body.dataset": _sometimes("datasets", 0.8),
        "body.flops_budget": _sometimes("budgets", 0.8),
        "body.path": _sometimes("paths"),
        "path.webhook_id": _sometimes("webhooks", 0.8),
        "path.delivery_id": _sometimes("deliveries", 0.8),
        "query.before": _sometimes("deliveries"),
        "path.model": _sometimes("models", 0.8),
        "path.alias": _sometimes("aliases", 0.8),
        "body.url": _sometimes("urls", 0.8),
        "header.Range": _sometimes("ranges", 0.8),
        "header.if-match": _sometimes("tags"),
        "header.if-none-match": _sometimes("tags"),
    }


def _operations(stocked: Stock, more: dict[str, Any]) -> list[dict[str, Any]]:
    """Operations with parameters of their own. The first entry that fits an operation decides."""
    return [
        {
            "include-path": "/searches/{search_id}",
            "include-method": "DELETE",
            "parameters": {"path.search_id": _sometimes("deleted"), "header.if-match": _sometimes("tags")},
        },
        *(
            {
                "include-path": f"/searches/{{search_id}}/{name}",
                "parameters": {"path.search_id": _sometimes(name, 0.8), "header.if-match": _sometimes("tags")},
            }
            for name in stocked.controlled
        ),
        {
            "include-path": "/webhooks/{webhook_id}",
            "include-method": "DELETE",
            "parameters": {"path.webhook_id": _sometimes("deleted_webhooks")},
        },
        *(
            {
                "include-path": f"/{things}/{{name}}",
                "include-method": "DELETE",
                "parameters": {"path.name": _sometimes(f"deleted_{things}", 0.8)},
            }
            for things in ("datasets", "weights", "devices")
        ),
        {"include-path": "/datasets/{name}", "parameters": {"path.name": _sometimes("datasets")}},
        {"include-path": "/datasets/{name}/corrections", "parameters": {"path.name": _sometimes("kept_datasets", 0.8)}},
        {
            "include-path": "/datasets/{name}/sheets/{label}",
            "parameters": {"path.name": _sometimes("kept_datasets", 0.8), "path.label": _sometimes("labels", 0.5)},
        },
        # Of these, some are never deleted and have a report.
        {
            "include-path": "/searches/{search_id}/report",
            "parameters": {
                "path.search_id": _sometimes("finished", 0.8),
                "header.if-none-match": _sometimes("tags"),
            },
        },
        {"include-path": "/weights/{name}", "parameters": {"path.name": _sometimes("weights", 0.8)}},
        {"include-path": "/devices/{name}", "parameters": {"path.name": _sometimes("devices", 0.8)}},
        {
            "include-path": "/models/{model}/aliases/{alias}",
            "parameters": {"body.search_id": _sometimes("kept", 0.8)},
        },
        {
            "include-path": "/models/{model}/aliases/{alias}/rollback",
            "parameters": {"body.number": _sometimes("numbers", 0.8)},
        },
        {
            "include-path": "/models/{model}/aliases/{alias}/checkpoint",
            "parameters": {
                "query.format": _sometimes("formats", 0.8),
                "header.Range": _sometimes("ranges", 0.8),
                "header.if-range": _sometimes("file_tags", 0.8),
                "header.if-none-match": _sometimes("tags"),
            },
        },
        {"include-path": "/keys/{key_id}", "parameters": {"path.key_id": _sometimes("key_ids", 0.8)}},
        {"include-path": "/session", "parameters": {"body.key": _sometimes("keys", 0.8)}},
        {"include-path": "/problems/{name}", "parameters": {"path.name": _sometimes("problems")}},
        # Five headers and parameters together decide what is sent of a file.
        {
            "include-path": "/architectures/{arch_id}/checkpoint",
            "parameters": {
                "path.arch_id": _sometimes("architectures", 0.8),
                "query.format": _sometimes("formats", 0.8),  # the only one that exists
                "query.search_id": _sometimes("kept", 0.8),
                "header.Range": _sometimes("ranges", 0.8),
                "header.if-range": _sometimes("file_tags", 0.8),
                "header.if-none-match": _sometimes("tags"),
            },
            "phases": {"fuzzing": {"generation": more}},
        },
    ]


def _sometimes(dictionary: str, probability: float = 0.5) -> dict[str, Any]:
    return {"dictionary": dictionary, "probability": probability}
