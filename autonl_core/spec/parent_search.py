"""A search that goes on from a finished one: what it takes over, and what it may not change.

Teacher and supernet of the parent learned from its training images and were judged on its validation images. So the
images, and how they are split, stay what they are: otherwise images would judge that were learned from.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import ParentError
from autonl_core.spec.config import AUTO_INIT, NO_INIT, PARENT_INIT, SearchConfig
from autonl_core.spec.config_sections import TeacherConfig

_KEPT = ("search_space", "seed", "val_fraction")
_KEPT_AT_RANDOM = ("resolution", *_KEPT)  # without a teacher, no resolution is tried


@dataclass(frozen=True)
class ParentSearch:
    """A finished search whose supernet was kept.

    Args:
        config: with its start decided (`recipe.settle`).
        dataset_fingerprint: of its images, at the time.
        teacher_resolution: pixels; None: it started from random weights.
    """

    id: str
    config: SearchConfig
    dataset_fingerprint: str
    teacher_resolution: int | None


def parent_id(config: SearchConfig) -> str | None:
    """The search that `config` goes on from; None: there is none.

    Raises:
        ParentError: two different ones are named.
    """
    named = config.init.removeprefix(PARENT_INIT) if config.init.startswith(PARENT_INIT) else None
    if named is not None and config.parent not in (None, named):
        raise ParentError(f"init names search {named!r} and parent names {config.parent!r}; leave one of them out")
    return named or config.parent


def follow(config: SearchConfig, dataset: DatasetSpec, parent: ParentSearch) -> SearchConfig:
    """`config` with everything that it takes over from `parent`.

    Raises:
        ParentError: the dataset has other content now, or `config` asks for something else than the parent had.
    """
    if dataset.fingerprint != parent.dataset_fingerprint:
        raise ParentError(
            f"search {parent.id} was made on other images than dataset {dataset.name!r} has now; its weights may know "
            "images that would judge here: start from a weight set instead"
        )
    if config.init not in (AUTO_INIT, PARENT_INIT + parent.id, parent.config.init):
        raise ParentError(
            f"search {parent.id} started from {parent.config.init!r}, and init is {config.init!r}; leave init out"
        )
    at_random = parent.config.init == NO_INIT
    kept = {name: getattr(parent.config, name) for name in (_KEPT_AT_RANDOM if at_random else _KEPT)}
    _refuse_changes(parent, "", config, kept)
    teacher = parent.config.teacher.model_copy(update={"resolution": parent.teacher_resolution})
    weight = config.teacher.weight if "weight" in config.teacher.model_fields_set else teacher.weight
    fixed = {name: getattr(teacher, name) for name in TeacherConfig.model_fields if name != "weight"}
    _refuse_changes(parent, "teacher.", config.teacher, fixed)
    return config.model_copy(
        update={
            **kept,
            "init": parent.config.init,
            "parent": parent.id,
            "teacher": teacher.model_copy(update={"weight": weight}),
        }
    )


def _refuse_changes(parent: ParentSearch, prefix: str, asked: BaseModel, kept: dict[str, object]) -> None:
    """Raises ParentError for fields that `asked` sets to something else than what is kept."""
    changed = [
        f"{prefix}{name} {getattr(asked, name)!r} instead of {value!r}"
        for name, value in kept.items()
        if name in asked.model_fields_set and getattr(asked, name) != value
    ]
    if changed:
        raise ParentError(
            f"a search that goes on from search {parent.id} keeps what its weights were made with, and this one asks "
            f"for {', '.join(changed)}; leave that out, or start without it"
        )
