"""The settings of a search. One set of classes validates the API body, the stored JSON and a YAML file.

Strict: unknown fields, numbers in quotes, booleans for integers, NaN and infinities are refused, and every problem is
listed, not just the first. Defaults suit about ten thousand small images; docs/search.md says what they reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from autonl_core.errors import OtherVersion
from autonl_core.registry import Named, Registry
from autonl_core.spec.config_sections import (
    AugmentConfig,
    BatchStatistics,
    CardConfig,
    Constraints,
    ExportConfig,
    Precision,
    Strict,
    SupernetConfig,
    TeacherConfig,
    TrainConfig,
)
from autonl_core.spec.config_versions import unused_new_settings, without_retired
from autonl_core.spec.macs_text import Macs
from autonl_core.spec.name_field import Name, in_words
from autonl_core.spec.names import NAME_PATTERN, NAME_RULE
from autonl_core.spec.zoo import ZOO

AUTO_INIT, NO_INIT = "auto", "none"  # reserved: no weight set has these names
MAX_SEED = 2**31 - 1
MAX_PRIORITY = 5
CHANGES_NOTHING = ("export", "priority", "resource_class", "max_compute_s")  # in the network that a search finds
MIN_PART_IMAGES = 2  # of a batch part: batch norms need more than one
PARENT_INIT = "search:"  # followed by the id of a search
OFF_THE_SHELF, UNIFORM = "off-the-shelf", "uniform"
_SHOWN_SETTINGS = 5  # that another version stored
RIVALS = (OFF_THE_SHELF, UNIFORM)  # baselines of a search that starts from pretrained weights, with its compute
_INIT_PATTERN = rf"^({PARENT_INIT})?{NAME_PATTERN.lstrip('^')}"
_INIT_RULE = (
    f"is auto, none, the name of a weight set, or {PARENT_INIT} followed by the id of a finished search; {NAME_RULE}"
)
ResourceClass = Literal["any", "cpu", "gpu"]
Init = Annotated[str, in_words(_INIT_PATTERN, _INIT_RULE), WithJsonSchema({"type": "string", "pattern": _INIT_PATTERN})]
# Of their files: no algorithm is imported, and with it the tensor code, only to know its name.
ALGORITHM_NAMES = Registry[Named]("autonl_core.supernet.algorithms", "algorithm").names()

if TYPE_CHECKING:
    Baseline = str
    PublishedName = str
    AlgorithmName = str
else:  # the names of the files that define them
    PublishedName = Literal[tuple(ZOO)]
    Baseline = Literal[(*ZOO, *RIVALS)]
    AlgorithmName = Literal[ALGORITHM_NAMES]


T = TypeVar("T")


def _each_once(listed: tuple[T, ...]) -> tuple[T, ...]:
    twice = next((value for place, value in enumerate(listed) if value in listed[:place]), None)
    if twice is not None:
        raise ValueError(f"{twice} is listed twice; list each only once")
    return listed


Baselines = Annotated[
    tuple[Baseline, ...],
    Field(
        strict=False, max_length=len(ZOO) + len(RIVALS), json_schema_extra={"uniqueItems": True}
    ),  # JSON knows lists, not tuples
    AfterValidator(_each_once),
]


Budgets = Annotated[
    tuple[Macs, ...],
    Field(strict=False, max_length=16, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_each_once),
]


class SearchConfig(Strict):
    """One search. Only `dataset` and `flops_budget` are required; with `flops_budgets`, it is the first of them.

    The defaults here are those of a search from random weights; `recipe.settle` has the others.
    """

    dataset: Name = Field(description="name of a registered dataset, see GET /datasets", examples=["digits"])
    flops_budget: Macs = Field(
        description='upper limit of the MACs of one image, an integer or "300M"', examples=["400k", 400_000]
    )
    flops_budgets: Budgets = Field(
        default=(),
        description="several budgets, the first of them `flops_budget`: the shared weights learn for all of them, and "
        "once they have, a search of its own for each of the others goes on with them; a result for every budget",
        examples=[["2.5M", "4.5M", "9M"]],
    )
    constraints: Constraints = Constraints()
    search_space: Name | None = Field(default=None, description="null: the space made for the resolution")
    resolution: int | None = Field(
        default=None, ge=8, le=512, description="pixels; null: the size of the dataset's images"
    )
    algorithm: AlgorithmName = "autonl"
    init: Init = Field(
        default=NO_INIT,
        description='where weights start: "none", at random; the name of a weight set, see GET /weights; "auto": '
        "pretrained where the images are photographs and a built-in weight set serves the space, else none",
        examples=["auto"],
    )
    parent: Name | None = Field(
        default=None,
        description="id of a finished search on the same dataset, whose teacher and supernet this one goes on with; "
        '`init: "search:ID"` means the same',
    )
    keep_supernet: bool | None = Field(
        default=None,
        description="whether later searches can go on from this one; null: if its supernet is not too large to keep",
    )
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    repeat: int = Field(
        default=1,
        ge=1,
        le=16,
        description="searches that differ in nothing but the seed, which is `seed`, `seed + 1` and so on: how much of "
        "a result is luck, see GET /searches/{id}/repeats",
    )
    repeat_of: Name | None = Field(default=None, description="the search that this one repeats; the service sets it")
    priority: int = Field(
        default=0,
        ge=-MAX_PRIORITY,
        le=MAX_PRIORITY,
        description="searches of a higher one start first; of the same one, tenants take turns",
    )
    resource_class: ResourceClass = Field(
        default="any",
        description='workers that may run the search: "gpu", those with a GPU; "cpu", those without; "any", all. '
        "It waits until one of them is free",
    )
    max_compute_s: float | None = Field(
        default=None,
        gt=0,
        description="CPU seconds that the search may use over all attempts; once they are spent it stops, with the "
        "best network so far. Each of several budgets, and each repeat, may use as much. null: no limit",
    )
    precision: Precision = Field(
        default="tf32",
        description="of training. tf32: float32, in which a GPU rounds what convolutions multiply to TF32, as PyTorch "
        "does by default; fp32: without that; on a CPU the two are the same. bf16: convolutions and products of "
        "matrices in bfloat16, the weights in float32; for GPUs, and CPUs that have instructions for it. Networks are "
        "scored and delivered in float32",
    )
    batch_parts: int = Field(
        default=1,
        ge=1,
        le=64,
        description="into how many parts every training batch is divided, each with batch statistics of its own; their "
        "gradients are added in one order. As many processes as divide it can share the parts, and all of these find "
        "the same network, bit for bit on one kind of machine",
    )
    batch_statistics: BatchStatistics = Field(
        default="part",
        description="what a batch norm sees in training: a part of the batch, or the whole batch. Processes that share "
        "it then wait for each other in every batch norm, and by rounding, the network depends on their number",
    )
    val_fraction: float = Field(default=0.1, gt=0, le=0.5, description="of the training images, for decisions only")
    supernet: SupernetConfig = SupernetConfig()
    train: TrainConfig = TrainConfig()
    teacher: TeacherConfig = TeacherConfig()
    baselines: Baselines = Field(
        default=(),
        description="what to compare with: published networks, scaled to the same MACs and trained with the same "
        'recipe; from pretrained weights also "off-the-shelf", their whole network, fine-tuned at the resolution that '
        'the budget allows, and "uniform", the teacher with every block cut alike: both with the compute of the search',
        examples=[["mobilenet_v2"]],
    )
    augment: AugmentConfig = AugmentConfig()
    export: ExportConfig = ExportConfig()
    card: CardConfig = CardConfig()

    @property
    def other_budgets(self) -> tuple[int, ...]:
        """Budgets whose searches go on from this one, once its shared weights have learned: none but in the first."""
        return self.flops_budgets[1:] if self.flops_budgets[:1] == (self.flops_budget,) else ()

    @model_validator(mode="before")
    @classmethod
    def _first_budget(cls, body: Any) -> Any:
        budgets = body.get("flops_budgets") if isinstance(body, dict) and "flops_budget" not in body else None
        return {**body, "flops_budget": budgets[0]} if isinstance(budgets, list) and budgets else body

    @model_validator(mode="after")
    def _budgets_fit(self) -> Self:
        if not self.flops_budgets:
            return self
        if self.flops_budget not in self.flops_budgets:
            raise ValueError(f"flops_budget {self.flops_budget:,} is not among flops_budgets; leave it out")
        if len(self.flops_budgets) > 1 and self.algorithm != "autonl":
            raise ValueError(f"algorithm {self.algorithm!r} learns for one budget; start a search for each")
        if self.other_budgets and self.keep_supernet is False:
            raise ValueError("several budgets share one supernet, so it has to be kept; leave keep_supernet out")
        return self

    @model_validator(mode="after")
    def _repeats_fit(self) -> Self:
        if self.repeat == 1 or self.repeat_of is not None:
            return self
        if len(self.flops_budgets) > 1:
            raise ValueError("repeat is for one budget; start a search for each of flops_budgets, or leave repeat out")
        if self.parent is not None or self.init.startswith(PARENT_INIT):
            raise ValueError("a search that goes on from another one keeps its seed; leave repeat out")
        if self.seed + self.repeat > MAX_SEED + 1:
            raise ValueError(f"the last seed of {self.repeat} repeats is above {MAX_SEED:,}; lower seed")
        return self

    @model_validator(mode="after")
    def _supernet_learns(self) -> Self:
        if self.supernet.epochs == 0 and self.parent is None and not self.init.startswith(PARENT_INIT):
            raise ValueError("supernet.epochs is 0, which only a search that goes on from another one can do without")
        return self

    @model_validator(mode="after")
    def _parts_have_images(self) -> Self:
        sizes = {name: getattr(self, name).batch_size for name in ("supernet", "train", "teacher")}
        for name, size in sizes.items() if self.batch_parts > 1 else ():
            if size < MIN_PART_IMAGES * self.batch_parts:
                raise ValueError(
                    f"{name}.batch_size {size} is less than {MIN_PART_IMAGES} images for each of {self.batch_parts} "
                    f"batch_parts; make it {MIN_PART_IMAGES * self.batch_parts} or more, or batch_parts fewer"
                )
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain JSON that `model_validate` and `stored` read back to an equal config.

        Without new settings that have their defaults, so that the last release, which runs beside this version while a
        service is upgraded, can do the searches that do not use them.
        """
        return self.model_dump(mode="json", exclude=unused_new_settings(self))

    @classmethod
    def stored(cls, config: Mapping[str, Any]) -> SearchConfig:
        """A search as some version stored it, without the settings that are no more.

        Raises:
            OtherVersion: it has settings that this version does not know.
        """
        try:
            return SearchConfig.model_validate(without_retired(config))
        except ValidationError as error:  # it was valid where it was stored
            listed = error.errors(include_url=False, include_context=False, include_input=False)
            unknown = ", ".join(".".join(map(str, one["loc"])) for one in listed[:_SHOWN_SETTINGS])
            raise OtherVersion(f"another version stored settings that this one does not know: {unknown}") from error
