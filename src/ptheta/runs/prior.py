"""The prior fitted by `ptheta fit`: one file, tied to the weights."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from ptheta.capabilities import Samples
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest, there
from ptheta.files.tensors import load_metadata, load_tensors, save_tensors
from ptheta.models.autoencoders.fitted import Fitted

NAME = "fitted.safetensors"
CHOICES = ("auto", "own", "fitted")


def digest_of_prior(folder: Path) -> str | None:
    """The hash of the fitted prior; None if there is none."""
    return digest(folder / NAME) if there(folder / NAME) else None


def save_prior(folder: Path, fitted: Fitted, weights: Path) -> None:
    """Saves a prior fitted to the codes of these weights."""
    mixture = {"weights": fitted.weights, "means": fitted.means, "factors": fitted.factors}
    about = {"weights": digest(weights), "components": str(len(fitted.weights))}
    save_tensors(folder / NAME, mixture, about)


def with_prior(model: nn.Module, folder: Path, weights: Path, prior: str) -> nn.Module:
    """The model with its own prior ("own"), the fitted one ("fitted"), or the fitted one if it
    cannot sample alone ("auto").

    Raises PthetaError for a fitted prior that is missing or was fitted to other weights.
    """
    auto = prior == "auto"
    if prior == "own" or (auto and isinstance(model, Samples)):
        return model
    mixture = _fitted_to(weights, folder / NAME)
    if mixture is not None:
        return Fitted.of(model, mixture, folder / NAME).eval()
    if auto:
        return model
    why = "was fitted to other weights" if there(folder / NAME) else "does not exist"
    raise PthetaError(f"{folder / NAME} {why}: run `ptheta fit {folder}`")


def _fitted_to(weights: Path, file: Path) -> dict[str, Tensor] | None:
    """The prior in a file, if it was fitted to these weights."""
    fits = there(file) and load_metadata(file).get("weights") == digest(weights)
    return load_tensors(file) if fits else None
