"""The sections of the settings of a search, one for every part of its work."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, field_validator

from autonl_core.spec.device_table import NS_PER_MS, DeviceTable
from autonl_core.spec.formats import DEFAULT_EXPORT_FORMATS, FORMATS_BY_EXTRA, ExportFormat
from autonl_core.spec.macs_text import Amount
from autonl_core.spec.name_field import Name

CardLine = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Constrained = Literal["params", "weights_bytes", "peak_activation_bytes"]
Limited = Constrained | Literal["latency_ms"]
CONSTRAINED: tuple[Constrained, ...] = get_args(Constrained)
Precision = Literal["fp32", "tf32", "bf16"]
BatchStatistics = Literal["part", "batch"]
OptimizerName = Literal["sgd", "adamw"]
TrainOptimizerName = Literal["sgd", "adamw", "rmsprop"]


BnStatistics = Literal["batch", "fixed"]
_BN_STATISTICS = (
    "what batch norms normalise by in training. batch: by the batch; fixed: by what the training images have in the "
    "weights as they were at first, only where the search starts from pretrained weights, and better for few images"
)


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON that `model_validate` reads back to an equal config."""
        return self.model_dump(mode="json")


def _is_none(value: object) -> bool:
    return value is None


class Constraints(Strict):
    """Upper limits of the network beside `flops_budget`; null: none."""

    params: Amount | None = Field(
        default=None, description='trainable parameters, an integer or "2M"', examples=["2M", 2_000_000]
    )
    weights_bytes: Amount | None = Field(
        default=None,
        description='of float32 weights as the ONNX file has them, batch norms folded; an integer or "8M", 8,000,000',
    )
    peak_activation_bytes: Amount | None = Field(
        default=None,
        description="float32 maps of one image that are needed at the same time, batch norms folded and activations "
        "in place",
    )

    latency_ms: float | None = Field(
        default=None,
        ge=0.001,
        le=3_600_000,
        exclude_if=_is_none,
        description="of one image on `device`, by its device table",
    )
    device: Name | None = Field(
        default=None,
        exclude_if=_is_none,
        description="name of the device that `latency_ms` is for, see GET /devices. A search without a service takes "
        "the table that it is given, whatever this says",
    )
    device_table_sha256: str | None = Field(
        default=None,
        exclude_if=_is_none,
        pattern="^[0-9a-f]{64}$",
        description="of the content of the device table, set when the search is accepted; one that is asked for has "
        "to be that of the device",
    )
    _table: DeviceTable | None = PrivateAttr(default=None)

    @property
    def table(self) -> DeviceTable | None:
        """The device table that latency is predicted by. It is not part of the JSON, which has its hash."""
        return self._table

    def on(self, table: DeviceTable) -> Self:
        """The same limits, latency predicted by `table`."""
        limits = self.model_copy(update={"device_table_sha256": table.sha256})
        limits._table = table  # noqa: SLF001  # of the copy
        return limits

    @property
    def limits(self) -> dict[Limited, int]:
        """The limits that there are; that of latency in nanoseconds."""
        listed: dict[Limited, int | None] = {name: getattr(self, name) for name in CONSTRAINED}
        listed["latency_ms"] = None if self.latency_ms is None else int(self.latency_ms * NS_PER_MS)
        return {name: at_most for name, at_most in listed.items() if at_most is not None}


NO_CONSTRAINTS = Constraints()


class SupernetConfig(Strict):
    """The search itself: training the supernet, learning what options are worth, and measuring candidates.

    A search from random weights that sets neither epochs, candidates, generations nor finalists is brief: 1, 8, 1, 1.
    """

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


class TrainConfig(Strict):
    """Training of the chosen network."""

    epochs: int = Field(default=70, ge=1, le=10000, description="passes over the training images")
    batch_size: int = Field(default=64, ge=2, le=4096)
    optimizer: TrainOptimizerName = Field(
        default="sgd", description="SGD with Nesterov momentum, AdamW, or RMSprop as the published networks had it"
    )
    lr: float = Field(default=0.1, gt=0, le=10, description="peak learning rate")
    warmup_epochs: int = Field(default=2, ge=0, le=1000)
    schedule: Literal["cosine", "steps"] = Field(
        default="cosine",
        description="of the learning rate after the warm-up. cosine: down to 0; steps: times `lr_decay` at every "
        "`lr_decay_epochs`, counted from the beginning",
    )
    lr_decay: float = Field(default=0.97, gt=0, le=1, description="only with the schedule `steps`")
    lr_decay_epochs: float = Field(default=2.4, gt=0, le=1000, description="only with the schedule `steps`")
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, le=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    dropout: float = Field(default=0.0, ge=0, lt=1, description="before the classifier")
    stochastic_depth: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="chance that the last block leaves out an image, which then takes the shortcut; less for earlier "
        "blocks, in proportion to their place. Not in the short trainings that compare networks",
    )
    bn_momentum: float = Field(
        default=0.1, gt=0, le=1, description="share of a batch in the running statistics of batch norms, per step"
    )
    bn_statistics: BnStatistics = Field(default="batch", description=_BN_STATISTICS)
    ema_decay: float = Field(default=0.999, ge=0, lt=1, description="of the weight average that is shipped; per step")
    class_balanced: bool = Field(
        default=False,
        description="show every class equally often, to finalists and to the chosen network; epochs keep their length",
    )
    weights: Literal["inherit", "retrain"] = Field(
        default="retrain", description="start from the supernet's weights, or from a fresh initialisation"
    )


class TeacherConfig(Strict):
    """Fine-tuning of the pretrained network, whose answers all other networks of the search then learn from."""

    epochs: int = Field(default=5, ge=1, le=1000, description="passes over the training images by the whole network")
    batch_size: int = Field(default=32, ge=2, le=4096)
    lr: float = Field(default=0.001, gt=0, le=1, description="peak learning rate, of AdamW")
    bn_statistics: BnStatistics | None = Field(
        default=None, description=_BN_STATISTICS + "; null: fixed for up to 5,000 images that it learns from"
    )
    resolution: int | None = Field(
        default=None, ge=32, le=512, description="pixels; null: by the budget and the size of the images"
    )
    weight: float = Field(
        default=0.9, ge=0, le=1, description="share of the teacher's answer in what networks learn; 0: labels alone"
    )


class AugmentConfig(Strict):
    """Random changes of training images, applied in batches on the device."""

    horizontal_flip: bool | None = Field(
        default=None,
        description="mirror training images; null: unless the check of the dataset found that it changes their class",
    )
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
    whole_pictures: bool = Field(
        default=False,
        description="cut training images from the whole pictures, not from their centre squares; always so where the "
        "search starts from pretrained weights",
    )
    color_jitter: float = Field(
        default=0.0, ge=0, le=1, description="brightness, contrast and saturation times 1 - x to 1 + x"
    )
    erase: float = Field(default=0.0, ge=0, le=1, description="chance of blanking a random square")
    policy: Literal["none", "randaugment", "trivialaugment"] | None = Field(
        default=None,
        description="two operations of a fixed strength, or one of a random strength, drawn for every image; null: "
        "trivialaugment for up to 20,000 training images of 24 pixels or more that are learned from nothing, else "
        "none. As with mixup and cutmix, only while the chosen network and its baselines train: the search compares "
        "networks that see an image a few times",
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


class ExportConfig(Strict):
    """The formats of the result, in addition to its safetensors file and the bundle."""

    formats: tuple[ExportFormat, ...] = Field(
        default=DEFAULT_EXPORT_FORMATS,
        strict=False,
        description="files to download, which the bundle contains as well; only on request: torchscript, which PyTorch "
        "has deprecated, and formats that need an extra where searches run: "
        + "; ".join(f"{extra}: {', '.join(names)}" for extra, names in FORMATS_BY_EXTRA.items()),
    )
    int8_max_drop_points: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="top-1 in percentage points that eight bits may lose on the test split, where more than 0 always "
        "allows one image; the file is withheld if they lose more",
    )

    @field_validator("formats", mode="after")
    @classmethod
    def _each_once(cls, formats: tuple[ExportFormat, ...]) -> tuple[ExportFormat, ...]:
        return tuple(dict.fromkeys(formats))


class CardConfig(Strict):
    """What the model card says of the makers of a network, and of its use."""

    licence: CardLine | None = Field(
        default=None, description="under which the network may be used; null: the card says that none is stated"
    )
    authors: tuple[CardLine, ...] = Field(default=(), strict=False, max_length=20, description="names, in their order")
