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
from autonl_core.spec.macs import count_macs
from autonl_core.spec.published_net import adapt
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.weight_set import InitialWeights


@dataclass(frozen=True)
class Pretrained:
    """The weight set of a search, and what it needs of the dataset.

    Args:
        teacher_px: the resolution at which the whole network is fine-tuned.
        resolutions: those that may be chosen for the result, the most promising first.
        space_at, squares: the search space, and the prepared dataset, at a resolution.
        pictures: the whole pictures that training images are cut from.
    """

    init: InitialWeights
    teacher_px: int
    resolutions: tuple[int, ...]
    space_at: Callable[[int], SearchSpace]
    squares: Callable[[int, OnProgress], PreparedData]
    pictures: Pictures
    augmentation: Augmentation
    seed: int
    device: torch.device

    @property
    def teacher_macs(self) -> int:
        """MACs of one image in the whole network."""
        classes = self.space_at(self.resolutions[0]).num_classes
        return count_macs(adapt(self.init.weights.arch, resolution=self.teacher_px, num_classes=classes)).total

    def network(self) -> Network:
        """The pretrained network with a fresh classifier, at the teacher's resolution."""
        classes = self.space_at(self.resolutions[0]).num_classes
        network = load_weights(self.init.path, self.init.weights.arch, num_classes=classes, seed=self.seed)
        return at_resolution(network, self.teacher_px)

    def data_at(self, resolution: int, on_progress: OnProgress = lambda share: None) -> PreparedData:
        """The dataset at a resolution, its channels fed as the pretrained network expects them.

        Args:
            on_progress: called if it has to be decoded once more, because other searches needed the room.
        """
        normalisation = self.init.weights.normalisation
        return replace(self.squares(resolution, on_progress), mean=normalisation.mean, std=normalisation.std)

    def loader(self, data: PreparedData, teacher: Network | None, weight: float) -> ViewLoader:
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
        )


def at_resolution(network: Network, resolution: int) -> Network:
    """The same weights for another input size, in evaluation mode."""
    other = Network(adapt(network.arch, resolution=resolution))
    other.load_state_dict(network.state_dict())
    return other.eval()
