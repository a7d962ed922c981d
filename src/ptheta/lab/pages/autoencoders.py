"""From autoencoders to the VAE: what the KL term does to codes, and what a code keeps."""

from __future__ import annotations

from torch import Tensor, nn

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.lab.asked import Asked
from ptheta.lab.pages.autoencoders_codes import Coded, codes, ellipses
from ptheta.lab.pages.autoencoders_paths import between, holes
from ptheta.lab.pages.autoencoders_sizes import sizes
from ptheta.lab.parts import Page
from ptheta.lab.trained import Training, given, labelled
from ptheta.tasks.needs import Autoencodes
from ptheta.tasks.scatter import Scatter, scatter

SHOWN = 1500  # test images whose codes are drawn
PLANE: dict[str, object] = {"latent": 2, "hidden": (256, 128), "lr": 4e-3}
TRAININGS: dict[str, Training] = {
    "autoencoder": Training("ae", PLANE | {"loss": "cross-entropy", "lr": 2e-3}, 800),
    "reconstruction only": Training("vae", PLANE, 1500, beta=0.0),
    "KL only": Training("vae", PLANE | {"kl_only": True}, 300),
    "both": Training("vae", PLANE, 1500),
}


def page(asked: Asked) -> Page:
    train, test = labelled(asked, "autoencoders")
    models = _models(asked, train)
    seed = asked.number("codes")
    some = test.shuffled(seed).subset(slice(0, SHOWN)).batch(slice(None))
    assert isinstance(some.condition, Tensor)
    coded = {
        name: Coded(name, model, _seen(name, model, some.x, seed), some.condition, bool(asked.runs))
        for name, model in models.items()
    }
    return Page(
        "From autoencoders to the VAE",
        "An autoencoder learns a code that can be decoded. The KL term of a VAE makes the codes "
        "overlap and fill the prior, so that any draw of the prior can be decoded.",
        [
            codes(coded, train),
            *ellipses(coded),
            *holes(coded),
            between(coded, asked, train, test),
            sizes(coded, asked, train, test),
        ],
        [
            "Hinton & Salakhutdinov 2006 (autoencoders and principal components)",
            "Baldi & Hornik 1989 (the linear autoencoder spans the principal subspace)",
            "Kingma & Welling 2014, arXiv:1312.6114",
        ],
    )


def _seen(name: str, model: nn.Module, x: Tensor, seed: int) -> Scatter:
    """The codes of images x. Raises PthetaError that names the model if they fill no plane."""
    try:
        return scatter(model, x, seed=seed)
    except PthetaError as error:
        raise PthetaError(f"--runs, {name}: {error}") from None


def _models(asked: Asked, train: Dataset) -> dict[str, nn.Module]:
    """The four that the page trains, or the given ones by their names."""
    if asked.runs:
        runs = given(asked, "autoencoders", Autoencodes, "encode and decode", train)
        return {f"{one.name} ({one.run.plan.model})": one.model for one in runs}
    return {
        name: one.run(train, asked.number(name), f"training {name}")
        for name, one in TRAININGS.items()
    }
