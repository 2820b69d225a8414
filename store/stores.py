"""All stores of one process, opened from its settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from store.answers import AnswerStore
from store.architecture_history import ArchitectureHistoryStore
from store.architectures import ArchitectureStore
from store.artifacts import ArtifactStore
from store.claims import ClaimStore
from store.compute_estimates import ComputeEstimateStore
from store.control import ControlStore
from store.corrections import CorrectionStore
from store.dataset_checks import DatasetCheckStore
from store.dataset_files import DatasetFiles
from store.datasets import DatasetStore
from store.db import Database
from store.devices import DeviceStore
from store.events import EventStore
from store.file_places import FilePlaces, open_file_places
from store.keys import KeyStore
from store.labels import LabelStore
from store.model_registry.registry import ModelRegistry
from store.queue_places import QueueStore
from store.quotas import QuotaStore
from store.retention import RetentionStore
from store.run_state_files import RunStateFiles
from store.searches import SearchStore
from store.settings import Settings
from store.supernets import SupernetStore
from store.sweeps import SweepStore
from store.tenant_rows import DEFAULT_TENANT
from store.tenants import TenantStore
from store.updates import UpdateStore
from store.upload_folder import folder_of
from store.usage import UsageStore
from store.webhooks.feed import WebhookFeed
from store.webhooks.registry import WebhookStore
from store.webhooks.sending import WebhookSendingStore
from store.weight_checks import WeightCheckStore
from store.weight_files import WeightFiles
from store.weight_sets import WeightSetStore

_MAX_TENANTS = 1024  # whose stores are kept


@dataclass(frozen=True)
class Stores:
    """One store per kind of row. Opening them does not connect yet; close them, and never share them across a fork.

    They have the rows of all tenants, where a name may stand for several rows; those that `of_tenant` returns have the
    rows and the uploads of one.
    """

    settings: Settings
    tenant_id: str
    database: Database
    tenants: TenantStore
    keys: KeyStore
    searches: SearchStore
    control: ControlStore
    labels: LabelStore
    claims: ClaimStore
    updates: UpdateStore
    sweeps: SweepStore
    queue: QueueStore
    quotas: QuotaStore
    usage: UsageStore
    compute_estimates: ComputeEstimateStore
    events: EventStore
    answers: AnswerStore
    architectures: ArchitectureStore
    architecture_history: ArchitectureHistoryStore
    supernets: SupernetStore
    models: ModelRegistry
    retention: RetentionStore
    datasets: DatasetStore
    corrections: CorrectionStore
    checks: DatasetCheckStore
    weight_sets: WeightSetStore
    weight_checks: WeightCheckStore
    devices: DeviceStore
    webhooks: WebhookStore
    webhook_feed: WebhookFeed
    webhook_sending: WebhookSendingStore
    artifacts: ArtifactStore
    run_states: RunStateFiles
    _of_tenants: dict[str, Stores] = field(default_factory=dict, repr=False, compare=False)

    def of_tenant(self, tenant_id: str) -> Stores:
        """The same for one tenant. Only these stores have to be closed."""
        made = self._of_tenants.get(tenant_id)
        if made is None:
            if len(self._of_tenants) >= _MAX_TENANTS:
                self._of_tenants.clear()
            places = FilePlaces(self.artifacts, self.run_states)
            made = _stores(self.settings, self.database.of_tenant(tenant_id), places, tenant_id)
            self._of_tenants[tenant_id] = made
        return made

    def close(self) -> None:
        self.database.close()


def open_stores(settings: Settings) -> Stores:
    """The stores that `settings` name. Raises ArtifactError or ValueError if a URL is not supported."""
    return _stores(settings, Database(settings.resolved_database_url), open_file_places(settings), DEFAULT_TENANT)


def _stores(settings: Settings, database: Database, places: FilePlaces, tenant_id: str) -> Stores:
    """`tenant_id` says where uploads are."""
    datasets, weights = (folder_of(folder, tenant_id) for folder in (settings.datasets_dir, settings.weights_dir))
    reserve_bytes, artifacts = settings.disk_reserve_bytes, places.artifacts
    kept_datasets = DatasetStore(database, DatasetFiles(datasets, reserve_bytes), artifacts, settings)
    return Stores(
        settings=settings,
        tenant_id=tenant_id,
        database=database,
        tenants=TenantStore(database),
        keys=KeyStore(database),
        searches=SearchStore(database, settings),
        control=ControlStore(database, settings),
        labels=LabelStore(database),
        claims=ClaimStore(database, settings),
        updates=UpdateStore(database),
        sweeps=SweepStore(database, settings),
        queue=QueueStore(database, settings),
        quotas=QuotaStore(database, settings),
        usage=UsageStore(database),
        compute_estimates=ComputeEstimateStore(database),
        events=EventStore(database),
        answers=AnswerStore(database),
        architectures=ArchitectureStore(database),
        architecture_history=ArchitectureHistoryStore(database),
        supernets=SupernetStore(database, artifacts, settings),
        models=ModelRegistry(database),
        retention=RetentionStore(database, artifacts, settings),
        datasets=kept_datasets,
        corrections=CorrectionStore(database, kept_datasets, settings),
        checks=DatasetCheckStore(database, settings),
        weight_sets=WeightSetStore(database, WeightFiles(weights, reserve_bytes), settings),
        weight_checks=WeightCheckStore(database, settings),
        devices=DeviceStore(database, settings),
        webhooks=WebhookStore(database),
        webhook_feed=WebhookFeed(database),
        webhook_sending=WebhookSendingStore(database),
        artifacts=artifacts,
        run_states=places.run_states,
    )
