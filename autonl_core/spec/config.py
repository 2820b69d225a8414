"""The settings of a search. One set of classes validates the API body, the stored JSON and a YAML file.

Strict: unknown fields, numbers in quotes, booleans for integers, NaN and infinities are refused, and every problem is
listed, not just the first. Defaults suit about ten thousand small images; docs/search.md says what they reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from autonl_core.registry import Named, Registry
from autonl_core.spec.formats import DEFAULT_EXPORT_FORMATS, ExportFormat
from autonl_core.spec.macs_text import Macs
from autonl_core.spec.zoo import ZOO

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
AUTO_INIT, NO_INIT = "auto", "none"  # reserved: no weight set has these names
PARENT_INIT = "search:"  # followed by the id of a search
OFF_THE_SHELF, UNIFORM = "off-the-shelf", "uniform"
_RETIRED = {"supernet": ("alpha_lr", "ramp_fraction")}  # by section: settings of earlier versions
RIVALS = (OFF_THE_SHELF, UNIFORM)  # baselines of a search that starts from pretrained weights, with its compute
Init = Annotated[str, StringConstraints(pattern=rf"^({PARENT_INIT})?[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}$")]
OptimizerName = Literal["sgd", "adamw"]
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


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON that `model_validate` reads back to an equal config."""
        return self.model_dump(mode="json")


class SupernetConfig(_Strict):
    """The search itself: training the supernet, learning what options are worth, and measuring candidates."""

    epochs: int = Field(
        default=2,
        ge=0,
        le=1000,
        description="passes over the training images by the supernet; 0: none, the search goes on with another's",
    )
    warmup_fraction: float = Field(default=0.3, ge=0, lt=1, description="share with LightNL open and no slopes taken")
    batch_size: int = Field(default=64, ge=2, le=4096, description="images per step; two subnets share each batch")
    optimizer: OptimizerName = Field(default="sgd", description="of the weights")
    lr: float = Field(default=0.1, gt=0, le=10, description="peak learning rate of the weights")
    candidates: int = Field(default=32, ge=1, le=4096, description="networks drawn as the slopes favour options")
    generations: int = Field(
        default=2, ge=0, le=100, description="rounds, of half as many, of networks that are promising by all scores"
    )
    finalists: int = Field(default=3, ge=1, le=32, description="candidates that train briefly before one is chosen")
    finalist_epochs: int = Field(default=1, ge=0, le=100, description="passes over the images in each halving round")
    paper_lambda: float = Field(default=0.1, ge=0, le=100, description="autonl-paper only: weight of log(MACs)")


class TrainConfig(_Strict):
    """Training of the chosen network."""

    epochs: int = Field(default=70, ge=1, le=10000, description="passes over the training images")
    batch_size: int = Field(default=64, ge=2, le=4096)
    optimizer: OptimizerName = Field(default="sgd", description="SGD with Nesterov momentum, or AdamW")
    lr: float = Field(default=0.1, gt=0, le=10, description="peak learning rate")
    warmup_epochs: int = Field(default=2, ge=0, le=1000)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, le=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    dropout: float = Field(default=0.0, ge=0, lt=1, description="before the classifier")
    ema_decay: float = Field(default=0.999, ge=0, lt=1, description="of the weight average that is shipped; per step")
    class_balanced: bool = Field(
        default=False,
        description="show every class equally often, to finalists and to the chosen network; epochs keep their length",
    )
    weights: Literal["inherit", "retrain"] = Field(
        default="retrain", description="start from the supernet's weights, or from a fresh initialisation"
    )


class TeacherConfig(_Strict):
    """Fine-tuning of the pretrained network, whose answers all other networks of the search then learn from."""

    epochs: int = Field(default=5, ge=1, le=1000, description="passes over the training images by the whole network")
    batch_size: int = Field(default=32, ge=2, le=4096)
    lr: float = Field(default=0.001, gt=0, le=1, description="peak learning rate, of AdamW")
    resolution: int | None = Field(
        default=None, ge=32, le=512, description="pixels; null: by the budget and the size of the images"
    )
    weight: float = Field(
        default=0.9, ge=0, le=1, description="share of the teacher's answer in what networks learn; 0: labels alone"
    )


class AugmentConfig(_Strict):
    """Random changes of training images, applied in batches on the device."""

    horizontal_flip: bool | None = Field(default=None, description="null: as the dataset suggests")
    crop_padding: float = Field(
        default=0.125, ge=0, le=0.5, description="random shift, as a share of the side, where there is no resized crop"
    )
    resized_crop_min_scale: float | None = Field(
        default=None,
        ge=0.05,
        le=1,
        description="scale up a random part of at least this share of the area; 1: never; null: 0.25 for images above "
        "96 pixels, never for smaller ones, where a shift serves better; 0.35 of the whole picture where the search "
        "starts from pretrained weights",
    )
    color_jitter: float = Field(
        default=0.0, ge=0, le=1, description="brightness, contrast and saturation times 1 - x to 1 + x"
    )
    erase: float = Field(default=0.0, ge=0, le=1, description="chance of blanking a random square")
    policy: Literal["none", "randaugment", "trivialaugment"] = Field(
        default="none",
        description="two operations of a fixed strength, or one of a random strength, drawn for every image; as with "
        "mixup and cutmix, only while the chosen network and its baselines train: the search compares networks that "
        "see an image a few times",
    )
    mixup: float = Field(
        default=0.0, ge=0, le=10, description="blend images in pairs, by a share from Beta(x, x); 0: never"
    )
    cutmix: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="paste a square of another image, its share from Beta(x, x); 0: never; with mixup: either",
    )


class ExportConfig(_Strict):
    """The formats of the result, in addition to its safetensors file and the bundle."""

    formats: tuple[ExportFormat, ...] = Field(
        default=DEFAULT_EXPORT_FORMATS,
        strict=False,
        description="files to download, which the bundle contains as well; torchscript, which PyTorch has deprecated, "
        "only on request",
    )
    int8_max_drop_points: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="top-1 in percentage points that eight bits may lose on the test split; the file is withheld if "
        "they lose more",
    )

    @field_validator("formats", mode="after")
    @classmethod
    def _each_once(cls, formats: tuple[ExportFormat, ...]) -> tuple[ExportFormat, ...]:
        return tuple(dict.fromkeys(formats))


class SearchConfig(_Strict):
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
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
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

    @property
    def other_budgets(self) -> tuple[int, ...]:
        """Budgets whose searches go on from this one, once its shared weights have learned: none but in the first."""
        return self.flops_budgets[1:] if self.flops_budgets[:1] == (self.flops_budget,) else ()

    @model_validator(mode="before")
    @classmethod
    def _first_budget(cls, body: Any) -> Any:
        if isinstance(body, dict) and "flops_budget" not in body and isinstance(body.get("flops_budgets"), list):
            return {**body, "flops_budget": next(iter(body["flops_budgets"]), None)}
        return body

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
    def _supernet_learns(self) -> Self:
        if self.supernet.epochs == 0 and self.parent is None and not self.init.startswith(PARENT_INIT):
            raise ValueError("supernet.epochs is 0, which only a search that goes on from another one can do without")
        return self

    @classmethod
    def stored(cls, config: Mapping[str, Any]) -> SearchConfig:
        """A search as some version stored it, without the settings that are no more."""
        kept = {key: _without_retired(key, value) for key, value in config.items()}
        return SearchConfig.model_validate(kept)


def _without_retired(section: str, value: Any) -> Any:
    retired = _RETIRED.get(section)
    return value if retired is None else {key: kept for key, kept in value.items() if key not in retired}
