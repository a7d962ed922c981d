"""Adversarial losses: pure functions of discriminator outputs d, one value per example.

Each entry of `LOSSES` defines the losses of both players. D = sigmoid(d) if d is a logit; a
critic's d is unrestricted. Optima refer to an unrestricted discriminator on densities p_data and
p_model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from ptheta.compute.streams import whole


@dataclass(frozen=True)
class AdversarialLoss:
    """A pair of losses.

    discriminator(d_real, d_fake), generator(d_fake, d_real) -> (B,) each
    formula: both losses, for documentation; a test evaluates them with this notation: d(x) and
        d(G(z)), D = sigmoid(d), E[...] for a mean over the batch, -L = d of an autoencoder, k = 1
    labelled(d, t): the discriminator's loss for the output d of an example that is real with
        probability t, so that discriminator(a, b) = labelled(a, 1) + labelled(b, 0); None if the
        loss is not a sum over labelled examples: then `excludes` has the reason under
        "soft_labels"
    log_ratio(d, t): log p_data / p_model at the optimal discriminator, with real examples labelled
        t; None if d does not determine it
    compares: whether the generator's loss depends on d_real as well
    batchwise: whether the loss of an example depends on the whole batch, such as on its mean
        output. Distributed training then differs from training in one process
    probability: whether sigmoid(d) is the probability of "real"
    autoencoding: whether d is minus the reconstruction error of an autoencoder, with the weight of
        d_fake held at an equilibrium
    boundary: the output for an example that is real with probability 1/2; None if a single output
        has no meaning
    excludes: trait of another part -> why it is incompatible with the loss
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    formula: tuple[str, str]
    paper: str
    labelled: Callable[[Tensor, Tensor], Tensor] | None = None
    log_ratio: Callable[[Tensor, float], Tensor] | None = None
    compares: bool = False
    batchwise: bool = False
    probability: bool = False
    autoencoding: bool = False
    boundary: float | None = None
    excludes: Mapping[str, str] = field(default_factory=dict)

    @property
    def about(self) -> str:
        return self.paper

    @property
    def traits(self) -> frozenset[str]:
        return frozenset({"autoencoding"} if self.autoencoding else ())


def expected(
    real: Callable[[Tensor], Tensor], fake: Callable[[Tensor], Tensor], d: Tensor, t: Tensor
) -> Tensor:
    """t real(d) + (1 - t) fake(d): the loss of d in expectation over a label that is t."""
    return t * real(d) + (1 - t) * fake(d)


# -- cross-entropy: Goodfellow et al. 2014 (arXiv:1406.2661)


def cross_entropy(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))): eq. 1. With the best D its mean is 2 log 2 - 2 JSD nats."""
    return softplus(-d_real) + softplus(d_fake)


def minimax(d_fake: Tensor, d_real: Tensor | None = None) -> Tensor:
    """log(1 - D(G(z))): eq. 1. Its gradient vanishes where D is sure of the fakes."""
    return -softplus(d_fake)


def non_saturating(d_fake: Tensor, d_real: Tensor | None = None) -> Tensor:
    """-log D(G(z)): section 3."""
    return softplus(-d_fake)


def maximum_likelihood(d_fake: Tensor, d_real: Tensor | None = None) -> Tensor:
    """-exp(d) = -D / (1 - D) of G(z): Goodfellow 2014, section 4 (arXiv:1412.6515).

    With the optimal D it is -p_data / p_model, and its gradient with respect to the generator is
    that of KL(p_data || p_model): maximum likelihood. It is dominated by the few fakes that D rates
    best. d is clipped at `SUREST` in exp, so that training does not stop at an infinite output.
    """
    return -d_fake.clamp(max=SUREST).exp()


def cross_entropy_ratio(d: Tensor, t: float) -> Tensor:
    """The best D is t p_data / (p_data + p_model): log(D / (t - D)).

    Infinite where the discriminator gives more than t. t = 1: d itself.
    """
    if t == 1:
        return d
    return logsigmoid(d) - torch.log((t - d.sigmoid()).clamp(min=0))


def log_odds(d_fake: Tensor) -> Tensor:
    """-log D(G(z)) + log(1 - D(G(z))) = -d: Rosca et al. 2017, algorithm 1 (arXiv:1706.04987).

    With the best D it is log p_model / p_data, so its mean is KL(p_model || p_data).
    """
    return -d_fake


# -- Wasserstein: Arjovsky et al. 2017 (arXiv:1701.07875)


def wasserstein_critic(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """-d(x) + d(G(z)): eq. 2. Minus its mean is W1 for the best 1-Lipschitz d."""
    return d_fake - d_real


def negative_critic(d_fake: Tensor, d_real: Tensor | None = None) -> Tensor:
    """-d(G(z)): eq. 3; the hinge loss's generator has the same."""
    return -d_fake


# -- least squares: Mao et al. 2017 (arXiv:1611.04076) with a = 0, b = c = 1


def half_square(d: Tensor, to: float) -> Tensor:
    """(d - to)^2 / 2"""
    return 0.5 * (d - to).square()


def least_squares_discriminator(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """(d(x) - 1)^2 / 2 + d(G(z))^2 / 2: eq. 9."""
    return half_square(d_real, 1.0) + half_square(d_fake, 0.0)


def least_squares(d_fake: Tensor, d_real: Tensor | None = None) -> Tensor:
    """(d(G(z)) - 1)^2 / 2: eq. 9."""
    return half_square(d_fake, 1.0)


def least_squares_ratio(d: Tensor, t: float) -> Tensor:
    """The best d is t p_data / (p_data + p_model): log(d / (t - d)), infinite outside (0, t)."""
    return torch.log(d.clamp(min=0)) - torch.log((t - d).clamp(min=0))


# -- hinge: Lim & Ye 2017 (arXiv:1705.02894)


def hinge_real(d: Tensor) -> Tensor:
    """max(0, 1 - d)"""
    return (1 - d).relu()


def hinge_fake(d: Tensor) -> Tensor:
    """max(0, 1 + d)"""
    return (1 + d).relu()


def hinge_discriminator(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """max(0, 1 - d(x)) + max(0, 1 + d(G(z)))"""
    return hinge_real(d_real) + hinge_fake(d_fake)


# -- relativistic pairing: Jolicoeur-Martineau 2018 (arXiv:1807.00734), Huang et al. 2024


def relativistic_discriminator(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """-log sigmoid(d(x) - d(G(z))): eq. 1 of R3GAN (arXiv:2501.05441)."""
    return softplus(d_fake - d_real)


def relativistic(d_fake: Tensor, d_real: Tensor) -> Tensor:
    """-log sigmoid(d(G(z)) - d(x))"""
    return softplus(d_real - d_fake)


# -- relativistic average: Jolicoeur-Martineau 2018 (arXiv:1807.00734), section 4.2


def relativistic_average_discriminator(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """-log sigmoid(d(x) - E[d(G(z))]) - log(1 - sigmoid(d(G(z)) - E[d(x)])): eq. 7 and 8, means
    over the batch."""
    of_fake, of_real = whole(d_fake).mean(), whole(d_real).mean()
    return softplus(of_fake - d_real) + softplus(d_fake - of_real)


def relativistic_average(d_fake: Tensor, d_real: Tensor) -> Tensor:
    """The same with real and fake exchanged."""
    return relativistic_average_discriminator(d_fake, d_real)


# -- boundary equilibrium: Berthelot et al. 2017 (arXiv:1703.10717), section 3.4. L = -d


def equilibrium(
    k: Tensor, error_real: Tensor, error_fake: Tensor, gamma: float, rate: float
) -> Tensor:
    """k <- clip(k + rate (gamma L(x) - L(G(z))), 0, 1): the next weight of the fakes."""
    return (k + rate * (gamma * error_real - error_fake)).clamp(0, 1)


def convergence(error_real: Tensor, error_fake: Tensor, gamma: float) -> Tensor:
    """M = L(x) + |gamma L(x) - L(G(z))|: lower is better and it needs no other measure."""
    return error_real + (gamma * error_real - error_fake).abs()


def accuracy(d_real: Tensor, d_fake: Tensor, boundary: float | None) -> Tensor:
    """How often the discriminator is right, from outputs (B,) each: one number in 0..1.

    The share of examples on their side of the boundary (one that lies on it counts half); without a
    boundary the share of pairs in which the real example has the larger output. 1/2 is chance.
    """
    if boundary is None:
        return (0.5 + 0.5 * (d_real - d_fake).sign()).mean()
    return (0.5 + 0.25 * ((d_real - boundary).sign() - (d_fake - boundary).sign())).mean()


SUREST = 30.0  # the largest logit of a fake that is distinguished

_CROSS_ENTROPY = partial(expected, non_saturating, softplus)

LOSSES: dict[str, AdversarialLoss] = {
    "minimax": AdversarialLoss(
        cross_entropy,
        minimax,
        ("-log D(x) - log(1 - D(G(z)))", "log(1 - D(G(z)))"),
        "arXiv:1406.2661",
        _CROSS_ENTROPY,
        log_ratio=cross_entropy_ratio,
        probability=True,
        boundary=0.0,
    ),
    "non_saturating": AdversarialLoss(
        cross_entropy,
        non_saturating,
        ("-log D(x) - log(1 - D(G(z)))", "-log D(G(z))"),
        "arXiv:1406.2661",
        _CROSS_ENTROPY,
        log_ratio=cross_entropy_ratio,
        probability=True,
        boundary=0.0,
    ),
    "maximum_likelihood": AdversarialLoss(
        cross_entropy,
        maximum_likelihood,
        ("-log D(x) - log(1 - D(G(z)))", "-D(G(z)) / (1 - D(G(z)))"),
        "arXiv:1412.6515",
        _CROSS_ENTROPY,
        log_ratio=cross_entropy_ratio,
        probability=True,
        boundary=0.0,
    ),
    "wasserstein": AdversarialLoss(
        wasserstein_critic,
        negative_critic,
        ("d(G(z)) - d(x)", "-d(G(z))"),
        "arXiv:1701.07875",
        excludes={
            "soft_labels": "a critic estimates a difference of means, and labels would only "
            "shrink it"
        },
    ),
    "least_squares": AdversarialLoss(
        least_squares_discriminator,
        least_squares,
        ("(d(x) - 1)^2 / 2 + d(G(z))^2 / 2", "(d(G(z)) - 1)^2 / 2"),
        "arXiv:1611.04076",
        lambda d, t: 0.5 * (d - t).square(),
        log_ratio=least_squares_ratio,
        boundary=0.5,
    ),
    "hinge": AdversarialLoss(
        hinge_discriminator,
        negative_critic,
        ("max(0, 1 - d(x)) + max(0, 1 + d(G(z)))", "-d(G(z))"),
        "arXiv:1705.02894",
        partial(expected, hinge_real, hinge_fake),
        boundary=0.0,
    ),
    "relativistic": AdversarialLoss(
        relativistic_discriminator,
        relativistic,
        ("-log sigmoid(d(x) - d(G(z)))", "-log sigmoid(d(G(z)) - d(x))"),
        "arXiv:2501.05441",
        compares=True,
        excludes={"soft_labels": "pairs of a real and a fake example are rated, no example alone"},
    ),
    "relativistic_average": AdversarialLoss(
        relativistic_average_discriminator,
        relativistic_average,
        (
            "-log sigmoid(d(x) - E[d(G(z))]) - log(1 - sigmoid(d(G(z)) - E[d(x)]))",
            "-log sigmoid(d(G(z)) - E[d(x)]) - log(1 - sigmoid(d(x) - E[d(G(z))]))",
        ),
        "arXiv:1807.00734",
        compares=True,
        batchwise=True,
        excludes={
            "soft_labels": "an example is rated relative to the mean of the others, and has no "
            "label of its own"
        },
    ),
    "began": AdversarialLoss(
        wasserstein_critic,
        negative_critic,
        ("L(x) - k L(G(z))", "L(G(z))"),
        "arXiv:1703.10717",
        autoencoding=True,
        excludes={
            "soft_labels": "reconstruction errors are compared, there are no labels",
            "minibatch_statistics": "each example's output is its reconstruction error, to which "
            "the batch has nothing to add",
        },
    ),
}
