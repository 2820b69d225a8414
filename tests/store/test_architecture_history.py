"""What a search reported after its epochs, read back with the metrics of the same attempt, on both databases."""

from __future__ import annotations

from store.stores import Stores
from tests.store import sample_rows as samples
from tests.store.sample_epochs import gates_at, network, options_of, report


def test_it_is_what_was_reported(stores: Stores) -> None:
    search_id = samples.queue_search(stores)
    assert stores.architecture_history.of_search(search_id) == []
    reported = [network(epoch, options_of(epoch), gates_at(epoch)) for epoch in (1, 2)]
    reported.append(network(None, options_of(3), {}))
    report(stores, lease := samples.claim(stores), reported)
    stores.updates.metrics(lease, "training", 1, {"loss": 3.0})
    stores.updates.architecture(lease, samples.architecture(4))  # without a place: of an earlier version
    found = stores.architecture_history.of_search(search_id)
    assert [(each.epoch, each.arch, each.skipped, each.values, each.val_top1_pct) for each in found] == [
        (each.epoch, each.arch, each.skipped, each.values, each.val_top1_pct) for each in reported
    ]
    events = [event for event in stores.events.after(search_id) if event.kind == "architecture"]
    assert [sorted(event.detail) for event in events[1:]] == [
        ["arch_id", "epoch", "macs", "skipped", "val_images", "val_top1_pct"],
        ["arch_id", "macs", "skipped", "val_images", "val_top1_pct"],
        ["arch_id", "macs", "val_images", "val_top1_pct"],
    ]


def test_each_attempt_has_its_own_metrics(stores: Stores) -> None:
    search_id = samples.queue_search(stores)
    for attempt in (1, 2):
        lease = samples.claim(stores)
        report(stores, lease, [network(1, options_of(attempt), gates_at(attempt))])
        if attempt == 1:
            stores.claims.gave_back(lease)
    found = stores.architecture_history.of_search(search_id)
    assert [each.attempt for each in found] == [1, 2]
    for attempt, each in enumerate(found, start=1):
        assert {name: each.values[name] for name in gates_at(attempt)} == gates_at(attempt)
