"""Where a search starts, and the defaults that follow: `init: auto` becomes a name, what was left open becomes numbers.

A fine-tuned network needs other settings than one that starts at random: AdamW at a low rate, few passes for the
teacher, and passes by the number of images. docs/transfer.md has the measurements behind these numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import ParentError, WeightSetError
from autonl_core.spec.auto_start import decide_start
from autonl_core.spec.config import AUTO_INIT, NO_INIT, SearchConfig
from autonl_core.spec.config_sections import AugmentConfig, SupernetConfig, TrainConfig
from autonl_core.spec.feasibility import space_within
from autonl_core.spec.parent_search import ParentSearch, follow, parent_id
from autonl_core.spec.several_budgets import DERIVES_ONLY
from autonl_core.spec.space_families import SpaceFamily
from autonl_core.spec.weight_set import WeightSet
from autonl_core.spec.weight_spaces import space_of

_TEACHER_IMAGES = 13_000  # passes of single images that fine-tune the whole network
_SHARED_IMAGES = 9_000  # that adapt the shared weights
_TRAIN_IMAGES = 70_000  # that train the chosen network
_FEW_IMAGES, _SMALL_BATCH, _BATCH = 1_000, 16, 32  # few images take more steps than large batches leave
_FIXED_IMAGES = 5_000  # up to so many, a teacher whose norms are fixed is better: measured with 270 and 2,149
_FEW_WEIGHT = 0.5  # of a teacher that had few images itself
_POLICY_IMAGES, _POLICY_PX = 20_000, 24  # up to so many images, of so many pixels or more, a policy is known to help
# Of SGD for the chosen network, where that policy is the default, up to so many pixels: its rate, and passes of single
# images. Within them, 300 photos gain ten points over the 70 epochs that serve 10,000.
_FEW_LR, _FEW_LR_PX = 0.2, 63
_NOTHING_IMAGES, _MOST_EPOCHS = 700_000, 300
_SUPERNET: Mapping[str, Any] = {
    "optimizer": "adamw",
    "lr": 0.001,
    "warmup_fraction": 0.0,
    "candidates": 24,
    "generations": 4,
    "finalists": 2,
}
# Of a search that starts at random weights: enough to notice that a plain network is clearly wrong for these images.
# At full training, longer searches found nothing better than they cost (docs/search.md, "Brief by default").
_BRIEF: Mapping[str, Any] = {"epochs": 1, "candidates": 8, "generations": 1, "finalists": 1}
_TRAIN: Mapping[str, Any] = {
    "optimizer": "adamw",
    "lr": 0.002,
    "warmup_epochs": 1,
    "weight_decay": 1e-4,
    "label_smoothing": 0.0,
    "ema_decay": 0.99,
    "weights": "inherit",
}

T = TypeVar("T", bound=BaseModel)


def no_parents(search_id: str) -> ParentSearch:
    """Where no finished searches are known."""
    raise ParentError(f"search {search_id!r} is not known here; only a service knows earlier searches")


def settle(
    config: SearchConfig,
    dataset: DatasetSpec,
    known: Mapping[str, WeightSet],
    parent_of: Callable[[str], ParentSearch] = no_parents,
) -> SearchConfig:
    """`config` with `init` decided, and with the defaults that suit it wherever nothing was asked for.

    Args:
        known: the weight sets there are, by name.
        parent_of: the finished search of an id. Raises ParentError.

    Raises:
        SpaceError: no space serves the resolution.
        BudgetError: no weights that `auto` may choose have a network for the budget.
        WeightSetError: there is no such weight set, or no space (or not the one asked for) has its network, or a
            setting is for networks with pretrained weights alone.
        ParentError: it cannot go on from the search that it names.
    """
    parent = parent_id(config)
    if parent is not None:
        config = follow(config, dataset, parent_of(parent))
    if config.init == AUTO_INIT:
        config = decide_start(config, dataset, known)
    name = config.init
    config = config.model_copy(update={"augment": _augment(config, dataset, name)})
    if name != NO_INIT:
        return _fine_tuning(config, dataset, known, name)
    if config.train.bn_statistics == "fixed":
        raise WeightSetError(
            "train.bn_statistics 'fixed' normalises by what pretrained weights make of the images, and this search "
            f"starts from random weights (init {NO_INIT!r}); leave it out, or set `init` to the name of a weight set"
        )
    supernet = from_nothing(config) if parent is None else _with_defaults(config.supernet, **DERIVES_ONLY)
    space = config.search_space or space_within(config, dataset)  # what goes on from it later stays in it
    train = _train_from_nothing(config, dataset)
    return config.model_copy(update={"init": NO_INIT, "supernet": supernet, "search_space": space, "train": train})


def from_nothing(config: SearchConfig) -> SupernetConfig:
    """How `config` searches from random weights: briefly, unless it says how long or how widely to search."""
    if config.algorithm != "autonl" or config.supernet.model_fields_set & _BRIEF.keys():
        return config.supernet
    return config.supernet.model_copy(update=dict(_BRIEF))


def _train_from_nothing(config: SearchConfig, dataset: DatasetSpec) -> TrainConfig:
    """How `config` trains from random weights: few small images, by SGD, at a high rate and for many epochs."""
    small = (config.resolution or dataset.image_size) <= _FEW_LR_PX
    fast = small and _learns_few(config, dataset) and config.train.optimizer == "sgd"
    if not fast:
        return config.train
    epochs = _passes(_NOTHING_IMAGES, dataset.train_images, config.train.epochs, _MOST_EPOCHS)
    return _with_defaults(config.train, lr=_FEW_LR, epochs=epochs)


def _augment(config: SearchConfig, dataset: DatasetSpec, init: str) -> AugmentConfig:
    """What `config` asks for, its policy decided: few images that are learned from nothing need the strongest."""
    if config.augment.policy is not None:
        return config.augment
    strong = _learns_few(config, dataset) and init == NO_INIT
    return config.augment.model_copy(update={"policy": "trivialaugment" if strong else "none"})


def _learns_few(config: SearchConfig, dataset: DatasetSpec) -> bool:
    """Whether the images are as few, and as large, as those that the recipe for few images was measured on."""
    return dataset.train_images <= _POLICY_IMAGES and (config.resolution or dataset.image_size) >= _POLICY_PX


def _fine_tuning(config: SearchConfig, dataset: DatasetSpec, known: Mapping[str, WeightSet], name: str) -> SearchConfig:
    """`config` with the defaults of a search from the weight set `name`."""
    family = family_of(name, config, known)
    images = round(dataset.train_images * (1 - config.val_fraction))
    few = images < _FEW_IMAGES
    batch = {"batch_size": _SMALL_BATCH if few else _BATCH}
    norms = {"bn_statistics": "fixed" if images <= _FIXED_IMAGES else "batch"}
    lesson = {"weight": _FEW_WEIGHT} if few else {}
    shared = {**_SUPERNET, **batch, "epochs": _passes(_SHARED_IMAGES, images, 2, 16)}
    if config.parent is not None:
        shared |= DERIVES_ONLY
    return config.model_copy(
        update={
            "init": name,
            "search_space": family.name,
            "teacher": _with_defaults(
                config.teacher, **batch, **norms, **lesson, epochs=_passes(_TEACHER_IMAGES, images, 3, 16)
            ),
            "supernet": _with_defaults(config.supernet, **shared),
            "train": _with_defaults(
                config.train,
                **batch,
                epochs=_passes(_TRAIN_IMAGES, dataset.train_images, 12, 60),
                **_TRAIN,
            ),
        }
    )


def require_weights(name: str, known: Mapping[str, WeightSet]) -> WeightSet:
    """The weight set of this name. Raises WeightSetError if there is none."""
    if name not in known:
        raise WeightSetError(f"no weight set {name!r} is ready to start from; those that are: {', '.join(known)}")
    return known[name]


def family_of(name: str, config: SearchConfig, known: Mapping[str, WeightSet]) -> SpaceFamily:
    """The space whose supernet the weight set `name` can start. Raises WeightSetError if there is none."""
    family = space_of(require_weights(name, known))
    if family is None:
        raise WeightSetError(f"no search space has the network of weight set {name!r}; GET /weights lists others")
    if config.search_space not in (None, family.name):
        raise WeightSetError(
            f"weight set {name!r} starts searches in {family.name!r}, not in {config.search_space!r}; leave "
            f"search_space out, or init"
        )
    return family


def _passes(total_images: int, images: int, least: int, most: int) -> int:
    """Epochs that add up to about `total_images`: small sets are seen more often, large ones less."""
    return min(max(round(total_images / max(1, images)), least), most)


def _with_defaults(section: T, **defaults: Any) -> T:
    """`section` with these defaults for the fields that were not set."""
    return section.model_copy(update={k: v for k, v in defaults.items() if k not in section.model_fields_set})
