"""The priors that `ptheta fit` fits to the codes of a run, bound to its weights: a mixture in one
file, or a model of maps of codes, which is a run of its own in the folder `prior`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from ptheta.capabilities import Samples
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest, there
from ptheta.files.tensors import load_metadata, load_tensors, save_tensors
from ptheta.models.autoencoders.fitted import Fitted
from ptheta.models.variational.grid_prior import GridCoder, GridPrior, WithGridPrior
from ptheta.runs.config_file import has_config

NAME = "fitted.safetensors"
GRID = "prior.safetensors"  # which weights the run in `FOLDER` is of, and the order of the codes
FOLDER = "prior"
CHOICES = ("auto", "own", "fitted")

Opener = Callable[[Path], nn.Module]  # the folder of a run -> its model
Coded = tuple[Path, Path]  # the folder of a run, and the weights in question


def digest_of_prior(folder: Path) -> str | None:
    """The hash of the fitted prior; None where there is none."""
    found = {GRID: has_grid_prior(folder), NAME: there(folder / NAME)}
    file = next((folder / name for name, is_there in found.items() if is_there), None)
    return None if file is None else digest(file)


def has_grid_prior(folder: Path) -> bool:
    """Whether a prior of maps of codes was trained to its end, be it of these weights or of others
    of the run."""
    if not (there(folder / GRID) and there(weights_of(folder / FOLDER))):
        return False
    return bool(load_metadata(folder / GRID).get("prior"))


def begun_for(folder: Path) -> str | None:
    """The hash of the weights that the prior in `FOLDER`, finished or not, is of; None where there
    is no such record."""
    return load_metadata(folder / GRID).get("weights") if there(folder / GRID) else None


def save_prior(folder: Path, fitted: Fitted, weights: Path) -> None:
    """Saves a prior fitted to the codes of these weights."""
    mixture = {"weights": fitted.weights, "means": fitted.means, "factors": fitted.factors}
    about = {"weights": digest(weights), "components": str(len(fitted.weights))}
    save_tensors(folder / NAME, mixture, about)


def save_grid_prior(folder: Path, order: Tensor, weights: Path, prior: Path | None) -> None:
    """Says that the run in `FOLDER`, with weights `prior`, is of the codes of these weights.

    prior: None while it is trained for the first time
    """
    about = {"weights": digest(weights), "prior": "" if prior is None else digest(prior)}
    save_tensors(folder / GRID, {"order": order}, about)


def with_prior(
    model: nn.Module, folder: Path, weights: Path, prior: str, opened: Opener
) -> nn.Module:
    """The model of these weights with its own prior ("own"), the fitted one ("fitted"), or the
    fitted one where it cannot sample by itself ("auto").

    Raises PthetaError for a fitted prior that is missing or was fitted to other weights.
    """
    auto = prior == "auto"
    if prior == "own" or (auto and isinstance(model, Samples)):
        return model
    if isinstance(model, GridCoder) and has_grid_prior(folder):
        found = _grid_prior(model, (folder, weights), opened)
    else:
        found = _mixture(model, folder, weights)
    if found is not None:
        return found
    if auto:
        return model
    name, how = NAME, ""
    why = "was fitted to other weights" if there(folder / NAME) else "does not exist"
    if isinstance(model, GridCoder):
        name, how = FOLDER, f" --model {model.usual_prior()}"
        if has_grid_prior(folder):
            why = "was fitted to other weights"
        elif has_config(folder / FOLDER) and begun_for(folder) == digest(weights):
            why, how = "is not finished", " --model NAME --resume"
    raise PthetaError(f"{folder / name} {why}: run `ptheta fit {folder}{how}`")


def _grid_prior(model: GridCoder, coded: Coded, opened: Opener) -> nn.Module | None:
    """The model with the prior of its codes; None where that is of other weights."""
    folder, weights = coded
    about = load_metadata(folder / GRID)
    if about.get("weights") != digest(weights):
        return None
    found = opened(folder / FOLDER)
    changed = about.get("prior") != digest(weights_of(folder / FOLDER))
    if changed or not isinstance(found, GridPrior):
        raise PthetaError(
            f"{folder / FOLDER} is not the prior that was fitted: run `ptheta fit {folder} "
            "--model NAME --resume` to take it as it is"
        )
    order = load_tensors(folder / GRID)["order"]
    return WithGridPrior(model, found, order).eval()


def weights_of(folder: Path) -> Path:
    """The weights of a prior that is a run."""
    return folder / "model.safetensors"


def _mixture(model: nn.Module, folder: Path, weights: Path) -> nn.Module | None:
    """The model with a mixture; None where there is none of these weights."""
    mixture = _fitted_to(weights, folder / NAME)
    return None if mixture is None else Fitted.of(model, mixture, folder / NAME).eval()


def _fitted_to(weights: Path, file: Path) -> dict[str, Tensor] | None:
    """The prior in a file, if it was fitted to these weights."""
    fits = there(file) and load_metadata(file).get("weights") == digest(weights)
    return load_tensors(file) if fits else None
