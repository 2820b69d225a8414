"""A classifier fitted to the features of a network as it is: the start of fine-tuning.

A fresh classifier sends gradients of no meaning through the network until it has learned something itself, and the
features suffer (Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022). Fitted first, it costs one
forward pass, and fine-tuning begins where a linear probe ends.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from autonl_core.data.batches import Batch
from autonl_core.nn.network import Network, evaluating
from autonl_core.spec.search_work import CLASSIFIER_IMAGES
from autonl_core.training.evaluate import first_images

_RIDGE = 0.1  # on weights of standardised features; a tenth and ten times of it are within a point on 300 photos
_STEPS = 100  # of L-BFGS, at most
_LOGITS = 4_000_000  # that it is fitted to, at most: with many classes, fewer images do
_STD_FLOOR = 1e-3  # of features that are nearly constant


def images_for(classes: int) -> int:
    """How many images a classifier of so many classes is fitted to, at most."""
    return min(CLASSIFIER_IMAGES, _LOGITS // classes)


@torch.no_grad()
def fit_classifier(network: Network, batches: Iterable[Batch]) -> None:
    """Replace the classifier by the multinomial logistic regression of the labels on the network's features.

    Features are those of evaluation mode, standardised for the penalty; the fit is in float64, and the same for the
    same batches. Of `batches`, the first images that `images_for` allows are used.
    """
    classifier = network.classifier
    classes = classifier.out_features
    found: list[Tensor] = []
    handle = classifier.register_forward_pre_hook(lambda _, given: found.append(given[0].double()))
    labels = []
    try:
        with evaluating(network):
            for x, answers in first_images(batches, images_for(classes)):
                network(x)
                labels.append(answers)
    finally:
        handle.remove()
    features = torch.cat(found)  # (N, D)
    mean, std = features.mean(0), features.std(0, correction=0) + _STD_FLOOR
    weight, bias = _regress((features - mean) / std, torch.cat(labels), classes)
    classifier.weight.copy_(weight / std)
    classifier.bias.copy_(bias - (weight / std) @ mean)


def _regress(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """(N, D) float64, (N,) -> weight (classes, D) and bias (classes,) of the least penalised cross-entropy."""
    weight = features.new_zeros(classes, features.shape[1]).requires_grad_()
    bias = features.new_zeros(classes).requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = F.cross_entropy(F.linear(features, weight, bias), labels) + _RIDGE / 2 * weight.square().sum()
            loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach(), bias.detach()
