"""All stores of one process, opened from its settings."""

from __future__ import annotations

from dataclasses import dataclass

from store.architectures import ArchitectureStore
from store.artifacts import ArtifactStore, open_artifacts
from store.claims import ClaimStore
from store.control import ControlStore
from store.dataset_checks import DatasetCheckStore
from store.dataset_files import DatasetFiles
from store.datasets import DatasetStore
from store.db import Database
from store.events import EventStore
from store.queue_places import QueueStore
from store.searches import SearchStore
from store.settings import Settings
from store.supernets import SupernetStore
from store.sweeps import SweepStore
from store.updates import UpdateStore
from store.weight_checks import WeightCheckStore
from store.weight_files import WeightFiles
from store.weight_sets import WeightSetStore


@dataclass(frozen=True)
class Stores:
    """One store per kind of row. Opening them does not connect yet; close them, and never share them across a fork."""

    settings: Settings
    database: Database
    searches: SearchStore
    control: ControlStore
    claims: ClaimStore
    updates: UpdateStore
    sweeps: SweepStore
    queue: QueueStore
    events: EventStore
    architectures: ArchitectureStore
    supernets: SupernetStore
    datasets: DatasetStore
    checks: DatasetCheckStore
    weight_sets: WeightSetStore
    weight_checks: WeightCheckStore
    artifacts: ArtifactStore

    def close(self) -> None:
        self.database.close()


def open_stores(settings: Settings) -> Stores:
    """The stores that `settings` name. Raises ArtifactError or ValueError if a URL is not supported."""
    database = Database(settings.resolved_database_url)
    artifacts = open_artifacts(settings.resolved_artifact_url)
    return Stores(
        settings=settings,
        database=database,
        searches=SearchStore(database),
        control=ControlStore(database),
        claims=ClaimStore(database, settings),
        updates=UpdateStore(database),
        sweeps=SweepStore(database, settings),
        queue=QueueStore(database),
        events=EventStore(database),
        architectures=ArchitectureStore(database),
        supernets=SupernetStore(database, artifacts, settings),
        datasets=DatasetStore(database, DatasetFiles(settings.datasets_dir), artifacts),
        checks=DatasetCheckStore(database, settings),
        weight_sets=WeightSetStore(database, WeightFiles(settings.weights_dir)),
        weight_checks=WeightCheckStore(database, settings),
        artifacts=artifacts,
    )
