"""What every option is worth: a Gaussian belief, learned from measured networks, that the knapsack maximises.

The *utility* of a network is how much lower its validation loss is than that of others, and it is taken to be a sum
over the features of its options, here the gates that they open. In the public table NAS-Bench-Macro such a sum explains
88 to 96% of the differences within a budget. A few dozen noisy scores are too few for a number per option, so features
of one kind, in one stage, resemble each other a priori (`OptionFeatures.covariance`), and how much features matter at
all, against what the sum does not explain, is chosen by the likelihood of the scores.

Likelihood of options under a policy is not utility: it is how sure one is, not how much is gained, and a knapsack
over it spends MACs on what is certain instead of on what pays.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonl_core.supernet.budget import Band, Floats, band_within, project
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.option_costs import Choice, OptionCosts

_SIGNAL_TO_NOISE = np.geomspace(1e-3, 1e3, 49)  # of what features explain, against what they do not
_TRUST = (0.0, 0.3, 1.0, 3.0)  # in a belief that comes from elsewhere, against the resemblance of features
_TRIES = 4  # draws, for one network that is not scored yet
_LOG_SPREAD = 2.0  # standard deviation of log signal-to-noise a priori: very weak, but few scores need it
_OUTLIER = 3.0  # interquartile ranges above the median: no worse loss sets the scale of all others


@dataclass(frozen=True)
class OptionFeatures:
    """What the utility of an option is a sum of.

    Args:
        rows: per position, (options, features): which features an option has.
        covariance: (features, features), of their values a priori, up to a scale.
    """

    rows: tuple[Floats, ...]
    covariance: Floats

    def of(self, choice: Choice) -> Floats:
        """The features of a network, (features,)."""
        return np.sum([rows[option] for rows, option in zip(self.rows, choice, strict=True)], axis=0)

    def scores(self, values: Floats) -> list[Floats]:
        """What every option is worth, per position (options,), where features are worth `values`: for `project`."""
        return [rows @ values for rows in self.rows]


@dataclass(frozen=True)
class Utilities:
    """A Gaussian belief about what features are worth, in the unit of the losses that it was learned from.

    Args:
        mean: (features,); positive lowers the loss.
        covariance: (features, features).
        evidence: log-likelihood of the scores, above that under "no feature matters"; 0 without scores.
    """

    features: OptionFeatures
    mean: Floats
    covariance: Floats
    evidence: float = 0.0

    def scores(self) -> list[Floats]:
        """What every option is worth on average, per position (options,)."""
        return self.features.scores(self.mean)

    def draw(self, rng: np.random.Generator) -> list[Floats]:
        """What every option is worth in one case that is possible under this belief."""
        return self.features.scores(rng.multivariate_normal(self.mean, self.covariance, method="eigh"))

    def of(self, choice: Choice) -> float:
        """What a network is worth on average, up to what all networks have in common."""
        return float(self.features.of(choice) @ self.mean)


def gate_features(table: GateTable) -> OptionFeatures:
    """A feature per gate that an option opens. Gates of one kind resemble each other, those of one stage more so."""
    rows, start = [], 0
    for settings in table.settings:
        opened = np.zeros((len(settings), len(table.gates)))
        opened[:, start : start + settings.shape[1]] = settings == 1
        rows.append(opened)
        start += settings.shape[1]
    stages = [number for number, stage in enumerate(table.space.stages) for _ in range(stage.max_blocks)]
    kinds = np.array([gate.name for gate in table.gates])
    stage = np.array([stages[gate.position] for gate in table.gates])
    return OptionFeatures(tuple(rows), resemblance(kinds, stage))


def resemblance(kinds: NDArray[Any], stages: NDArray[Any]) -> Floats:
    """The covariance of features a priori: a third each for the same kind, the same stage of it, and the feature."""
    alike, near = (kinds[:, None] == kinds).astype(float), (stages[:, None] == stages).astype(float)
    return np.asarray((alike + alike * near + np.eye(len(kinds))) / 3)


def worth_of_gates(p: Floats) -> Floats:
    """What gates are worth, (gates,), in an unknown unit, where they open with probabilities `p`: their log-odds."""
    return np.asarray(np.log(p) - np.log1p(-p))


def best_within(table: GateTable, p: Floats, budget_macs: int) -> Choice:
    """The best network within the budget if gates are worth their log-odds: the result if the search ended now."""
    return project(table, gate_features(table).scores(worth_of_gates(p)), *band_within(table, budget_macs)).choice


def fit_utilities(
    features: OptionFeatures, choices: Sequence[Choice], losses: Sequence[float], beliefs: Sequence[Floats] = ()
) -> Utilities:
    """The belief after these networks had these losses.

    Networks are compared with each other only: what all of them have in common has no utility. A loss that is not
    finite counts as the worst one.

    Args:
        beliefs: values of features, (features,), in any unit, that come from elsewhere: features may lie in their
            direction, and how far is chosen by the scores.
    """
    worth = -_without_outliers(np.asarray(losses, dtype=np.float64))
    phi = np.array([features.of(choice) for choice in choices]).reshape(len(choices), len(features.covariance))
    contrasts = _contrasts(len(choices))
    phi, worth = contrasts.T @ phi, contrasts.T @ (worth - worth.mean()) if len(worth) else worth
    fits = [_fit(phi, worth, prior) for prior in _priors(features, beliefs, phi)]
    best = max(fits, key=lambda fit: fit[2])  # the first of equals: the least trust
    return Utilities(features, *best)


def utilities_of(features: OptionFeatures, worth: Floats, variance: Floats) -> Utilities:
    """The belief after every feature was measured on its own: as `worth`, (features,), with this `variance`."""
    known = np.isfinite(variance) & (variance > 0)
    error = np.sqrt(variance[known])
    phi = np.eye(len(worth))[known] / error[:, None]
    return Utilities(features, *_fit(phi, worth[known] / error, features.covariance, noise=1.0))


def worth_of_scored(known: Utilities, choices: Sequence[Choice], losses: Sequence[float]) -> Floats:
    """What networks are worth that have scores, (networks,): half their own score, half what their options add up to.

    The sum leaves out how options act together; a score has luck in it. And the best sum of all is where the fit errs
    most in its favour, so it has to stand the test of its own score.
    """
    own = -_without_outliers(np.asarray(losses, dtype=np.float64))
    summed = np.array([known.of(choice) for choice in choices])
    return np.asarray((own - own.mean() + summed - summed.mean()) / 2)


def promising(
    known: Utilities, table: OptionCosts, band: Band, rng: np.random.Generator, scored: Container[Choice]
) -> Choice | None:
    """A network in the band that is not scored yet, and the best in one case that is possible as known.

    None: the few cases that were drawn all led to networks that are scored.
    """
    drawn = (project(table, known.draw(rng), *band).choice for _ in range(_TRIES))
    return next((choice for choice in drawn if choice not in scored), None)


def _priors(features: OptionFeatures, beliefs: Sequence[Floats], phi: Floats) -> list[Floats]:
    """Covariances of features to choose from: trust in every belief from none to more than in resemblance."""
    priors = [features.covariance]
    for belief in beliefs:
        direction = _explained(np.outer(belief, belief), phi)
        if direction <= 0:  # it sees no difference between these networks
            continue
        usual = _explained(features.covariance, phi)
        added = np.outer(belief, belief) * usual / direction
        priors = [prior + trust * added for trust in _TRUST for prior in priors]
    return priors


def _explained(covariance: Floats, phi: Floats) -> float:
    """The variance that features give to the scores of networks."""
    return float(np.einsum("ni,ij,nj->", phi, covariance, phi)) / max(1, len(phi))


def _fit(phi: Floats, worth: Floats, prior: Floats, noise: float | None = None) -> tuple[Floats, Floats, float]:
    """Mean and covariance of features for one prior, and log-likelihood above that of noise alone.

    worth ~ N(0, noise (r G + 1)), G the covariance of scores under the prior, scaled to a mean variance of 1: r is the
    ratio of signal to noise, taken from a grid, and the best noise for each has a closed form, if it is not known.
    """
    count = len(worth)
    usual, power = _explained(prior, phi), float(worth @ worth)
    if count == 0 or usual <= 0 or power <= 0:
        return np.zeros(len(prior)), prior, 0.0
    prior = prior / usual
    values, vectors = np.linalg.eigh(phi @ prior @ phi.T)
    squares = (vectors.T @ worth) ** 2
    ratios = _SIGNAL_TO_NOISE[:, None]
    scales = ratios * np.maximum(values, 0) + 1  # (ratios, count)
    noises = (squares / scales).mean(axis=1) if noise is None else np.full(len(scales), noise)
    likelihood = -0.5 * ((squares / scales).sum(axis=1) / noises + count * np.log(noises) + np.log(scales).sum(axis=1))
    chosen = int(np.argmax(likelihood - 0.5 * (np.log(ratios[:, 0]) / _LOG_SPREAD) ** 2))
    ratio, gain = float(ratios[chosen, 0]), prior @ phi.T @ vectors  # (features, count)
    mean = ratio * gain @ ((vectors.T @ worth) / scales[chosen])
    covariance = noises[chosen] * ratio * (prior - ratio * (gain / scales[chosen]) @ gain.T)
    alone = -0.5 * (count + count * np.log(power / count) if noise is None else power / noise + count * np.log(noise))
    return mean, (covariance + covariance.T) / 2, float(likelihood[chosen] - alone)


def _contrasts(count: int) -> Floats:
    """(count, count - 1): an orthonormal basis of all that does not move the mean."""
    return np.linalg.qr(np.eye(count)[:, 1:] - 1 / count)[0] if count > 1 else np.zeros((count, 0))


def _without_outliers(losses: Floats) -> Floats:
    """Losses, the worst of them no further above the median than `_OUTLIER` interquartile ranges."""
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return np.zeros_like(losses)
    low, median, high = np.quantile(finite, [0.25, 0.5, 0.75])
    limit = min(float(finite.max()), median + _OUTLIER * (high - low)) if high > low else float(finite.max())
    return np.where(np.isfinite(losses), np.minimum(losses, limit), limit)
