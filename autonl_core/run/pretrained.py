"""Where a search starts from pretrained weights: their network, and images at every resolution that it looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from autonl_core.data.augment import Augmentation
from autonl_core.data.pictures import Pictures
from autonl_core.data.prepare import OnProgress, PreparedData
from autonl_core.data.views import Teacher, ViewLoader
from autonl_core.nn.network import Network
from autonl_core.nn.weights import load_weights
from autonl_core.run.adapted import Adapted
from autonl_core.run.pace import Teaching
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.macs import count_macs
from autonl_core.spec.pretrained_start import PretrainedStart
from autonl_core.spec.published_net import adapt
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.weight_set import InitialWeights


@dataclass(frozen=True)
class OffTheShelf:
    """The whole network at the largest input size within the budget, or at the smallest if it is too large anywhere.

    `loader` makes its batches, without a teacher; None: it is too large.
    """

    arch: ArchSpec
    loader: ViewLoader | None


@dataclass(frozen=True)
class Pretrained:
    """The weight set of a search, and what it needs of the dataset.

    Args:
        teacher_px: the resolution at which the whole network is fine-tuned.
        resolutions: those that may be chosen for the result, the most promising first.
        space_at, squares: the search space, with a head of that width, and the prepared dataset, at a resolution.
        head_at: width of the head that the result has at a resolution.
        pictures: the whole pictures that training images are cut from.
        off_the_shelf: a baseline; None if it was not asked for.
        teacher_is_ready: an earlier search fine-tuned the whole network.
    """

    init: InitialWeights
    teacher_px: int
    resolutions: tuple[int, ...]
    space_at: Callable[[int, int | None], SearchSpace]
    head_at: Callable[[int], int]
    squares: Callable[[int, OnProgress], PreparedData]
    pictures: Pictures
    augmentation: Augmentation
    seed: int
    device: torch.device
    off_the_shelf: OffTheShelf | None = None
    teacher_is_ready: bool = False

    @property
    def teaching(self) -> Teaching:
        """What it costs to learn from these weights."""
        whole = self.off_the_shelf
        whole_macs = 0 if whole is None or whole.loader is None else count_macs(whole.arch).total
        return Teaching(self.teacher_macs, self.teacher_is_ready, len(self.resolutions), whole_macs)

    @property
    def teacher_macs(self) -> int:
        """MACs of one image in the whole network."""
        classes = self.space_at(self.resolutions[0], None).num_classes
        return count_macs(adapt(self.init.weights.arch, resolution=self.teacher_px, num_classes=classes)).total

    def network(self) -> Network:
        """The pretrained network with a fresh classifier, at the teacher's resolution."""
        classes = self.space_at(self.resolutions[0], None).num_classes
        network = load_weights(self.init.path, self.init.weights.arch, num_classes=classes, seed=self.seed)
        return at_resolution(network, self.teacher_px)

    def start(self, adapted: Adapted, *, inherited: bool) -> PretrainedStart:
        """Where a result came from. `inherited`: its weights did too."""
        weights = self.init.weights
        return PretrainedStart(
            weights=weights.name,
            sha256=weights.sha256,
            network=weights.network,
            source=weights.source,
            licence=weights.licence,
            top1_pct=weights.top1_pct,
            num_classes=weights.num_classes,
            normalisation=weights.normalisation,
            teacher_resolution=self.teacher_px,
            teacher_val_top1_pct=adapted.teacher_val_top1_pct,
            trials=adapted.trials,
            resolution=adapted.resolution,
            inherited=inherited,
        )

    def data_at(self, resolution: int, on_progress: OnProgress = lambda share: None) -> PreparedData:
        """The dataset at a resolution, its channels fed as the pretrained network expects them.

        Args:
            on_progress: called if it has to be decoded once more, because other searches needed the room.
        """
        normalisation = self.init.weights.normalisation
        return replace(self.squares(resolution, on_progress), mean=normalisation.mean, std=normalisation.std)

    def loader(self, data: PreparedData, teacher: Network | None, weight: float, ahead_threads: int = 0) -> ViewLoader:
        """Crops of whole pictures at the resolution of `data`, labelled with the teacher's answers if there is one."""
        lesson = None
        if teacher is not None and weight > 0:
            lesson = Teacher(teacher.fuse(), teacher.arch.resolution, weight)
        view_px = data.resolution if lesson is None else max(data.resolution, lesson.resolution)
        return ViewLoader(
            data=data,
            device=self.device,
            seed=self.seed,
            augmentation=self.augmentation,
            pictures=self.pictures,
            view_px=view_px,
            teacher=lesson,
            ahead_threads=ahead_threads,
        )


def at_resolution(network: Network, resolution: int) -> Network:
    """The same weights for another input size, in evaluation mode."""
    other = Network(adapt(network.arch, resolution=resolution))
    other.load_state_dict(network.state_dict())
    return other.eval()
