"""A pretrained network before it is fine-tuned: normalised by the images, and with a classifier fitted to them."""

from __future__ import annotations

from autonl_core.data.batches import BatchSource
from autonl_core.data.prepare import ImageSet
from autonl_core.nn.network import Network
from autonl_core.training.adopt_statistics import adopt_statistics
from autonl_core.training.fit_classifier import fit_classifier


def begin_fine_tuning(network: Network, loader: BatchSource, images: ImageSet) -> None:
    """Keep the features of `network` and make them serve `images`, in about one pass over them without gradients."""
    adopt_statistics(network, loader.plain(images))
    fit_classifier(network, loader.plain(images))
