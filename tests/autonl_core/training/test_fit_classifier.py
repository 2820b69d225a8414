"""The first classifier of a network is fitted to its features."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import Loader
from autonl_core.data.prepare import PreparedData, prepare
from autonl_core.datasets.spec import DIGITS
from autonl_core.nn.network import Network, build_network
from autonl_core.spec.space_families import get_space
from autonl_core.training.evaluate import evaluate
from autonl_core.training.fit_classifier import fit_classifier, images_for


@pytest.fixture(scope="module")
def data(cache: Path) -> PreparedData:
    return prepare(DIGITS, 8, cache)


@pytest.fixture(scope="module")
def loader(data: PreparedData) -> Loader:
    return Loader(data, torch.device("cpu"), 0, Augmentation(flip=False, padding_px=0))


@pytest.fixture
def network() -> Network:
    return build_network(get_space("tiny", 8, 10).smallest(), seed=0).train()


def features_of(network: Network, loader: Loader, data: PreparedData) -> tuple[torch.Tensor, torch.Tensor]:
    """What the classifier is given, (N, D), and the labels."""
    found: list[torch.Tensor] = []
    with network.classifier.register_forward_pre_hook(lambda _, given: found.append(given[0])), torch.no_grad():
        labels = [(network.eval()(x), y)[1] for x, y in loader.plain(data.train)]
    return torch.cat(found).double(), torch.cat(labels)


def test_it_is_where_the_penalised_loss_has_no_slope(network: Network, loader: Loader, data: PreparedData) -> None:
    fit_classifier(network, loader.plain(data.train))
    assert network.training  # as it was
    features, labels = features_of(network, loader, data)
    spread = features.std(0, correction=0) + 1e-3
    weight = (network.classifier.weight.detach().double() * spread).requires_grad_()  # of standardised features
    centre = features.mean(0)
    shift = network.classifier(centre.float()).detach().double().requires_grad_()
    loss = F.cross_entropy(F.linear((features - centre) / spread, weight, shift), labels) + 0.05 * weight.square().sum()
    loss.backward()
    assert weight.grad is not None
    assert shift.grad is not None
    assert max(weight.grad.abs().max(), shift.grad.abs().max()) < 1e-4


def test_features_at_random_give_far_more_than_chance(network: Network, loader: Loader, data: PreparedData) -> None:
    before = evaluate(network, loader.plain(data.test)).top1_pct
    fit_classifier(network, loader.plain(data.train))
    assert before < 25
    assert evaluate(network, loader.plain(data.test)).top1_pct > 60


def test_nothing_but_the_classifier_changes_and_twice_the_same(
    network: Network, loader: Loader, data: PreparedData
) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fit_classifier(network, loader.plain(data.train))
    once = {name: value.clone() for name, value in network.state_dict().items()}
    fit_classifier(network, loader.plain(data.train))
    for name, value in network.state_dict().items():
        assert torch.equal(value, once[name]), name
        assert torch.equal(value, before[name]) == (not name.startswith("classifier")), name


def test_with_many_classes_it_is_fitted_to_fewer_images() -> None:
    assert [images_for(classes) for classes in (2, 400, 1000, 20_000)] == [10_000, 10_000, 4_000, 200]
