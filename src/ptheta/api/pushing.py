"""The `push` function: upload a run to the Hugging Face hub."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ptheta.callbacks import pictures
from ptheta.compute.streams import undisturbed
from ptheta.errors import PthetaError
from ptheta.files.atomic import there, write_files
from ptheta.files.out import check_folder
from ptheta.measures.results import Evaluation
from ptheta.report.model_card import PICTURE, Card
from ptheta.runs import hub
from ptheta.runs.folder import Run
from ptheta.runs.prior import FOLDER, GRID, NAME
from ptheta.runs.unplaced import without_paths

README = "README.md"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
EVALUATION = "evaluation.json"
Files = dict[str, Path | bytes]  # path in the repository -> a file, or its contents


@dataclass(frozen=True)
class Pushed:
    """Result of `ptheta.push`.

    Attributes:
        name: The run on the hub, `hf://ORG/NAME`, as commands take it.
        where: Address of the commit on the web, or the folder that was written instead.
        files: Size of each file, bytes.
    """

    name: str
    where: str
    files: Mapping[str, int]

    def __str__(self) -> str:
        size = sum(self.files.values()) / 1e6
        return f"{self.name}: {len(self.files)} files, {size:.1f} MB, at {self.where}"


@undisturbed()
def push(
    run: str | Path | Run,
    to: str,
    *,
    weights: str = "best",
    private: bool = False,
    license: str = "",
    out: str | Path | None = None,
) -> Pushed:
    """Upload a run to the Hugging Face hub, with a model card made of its evaluation.

    The weights (safetensors), the config, the record of training examples (hashes, not images), the
    logged metrics, the last grid of samples, the evaluation and a fitted prior are uploaded in one
    commit; what training needs to go on is not. A path of the training data becomes the name of the
    data. Others use the run as `hf://ORG/NAME` in place of a folder.

    Args:
        run: run folder, or a `Run`
        to: "org/name", or "org/name@branch"; the repository is created if it does not exist
        weights: "best" or "last"
        private: whether a repository that is created is visible to its owner only
        license: identifier of the licence of the weights, such as "mit"
        out: write the files into this folder instead of uploading them

    Returns:
        What was uploaded, and where it is.

    Raises:
        PthetaError: for an invalid name, a run without weights, without huggingface_hub, or if the
            hub cannot be reached or refuses
    """
    at, opened = hub.Address.parse(to), Run.open(run, weights)
    folder = None if out is None else check_folder(out)
    opened.warn_if_unfinished()
    files = _files(opened, at, license)
    sizes = {name: _size(part) for name, part in files.items()}
    if folder is None:
        return Pushed(str(at), hub.uploaded(at, files, private), sizes)
    for name, part in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        write_files(place.parent, [(place.name, _bytes(part))])
    return Pushed(str(at), str(folder), sizes)


def _files(run: Run, at: hub.Address, license: str) -> Files:
    """Everything that is uploaded."""
    if not there(run.weights_file()):
        raise PthetaError(f"{run.called} has no weights yet: train until the first checkpoint")
    evaluation, picture = _evaluation(run), max(pictures(run.path, set()), default=None)
    card = Card(run, at.name, evaluation, picture is not None, license)
    files: Files = {README: card.text().encode()}
    files |= _of_run(run, run.weights_file())
    if evaluation is not None:
        files[EVALUATION] = without_paths(run.path / EVALUATION, run)
    if picture is not None:
        files[PICTURE] = picture[1]
    files |= {name: run.path / name for name in (NAME, GRID) if there(run.path / name)}
    if GRID in files:
        prior = Run.open(run.path / FOLDER)
        files |= {
            f"{FOLDER}/{name}": part for name, part in _of_run(prior, prior.weights_file()).items()
        }
    return files


def _of_run(run: Run, weights: Path) -> Files:
    """The files that make a folder a run."""
    found: Files = {CONFIG: without_paths(run.path / CONFIG, run), WEIGHTS: weights}
    others = (name for name in hub.OF_A_RUN if name not in found)
    return found | {name: run.path / name for name in others if there(run.path / name)}


def _evaluation(run: Run) -> Evaluation | None:
    """The stored evaluation, if it is of these weights."""
    if not there(run.path / EVALUATION):
        return None
    found = Evaluation.from_json(json.loads(without_paths(run.path / EVALUATION, run)))
    own = run.checkpoint()
    if all(found.protocol.get(key) == own.get(key) for key in ("checkpoint", "fitted_prior")):
        return found
    warnings.warn(
        f"{run.path / EVALUATION} is of other weights than those that are pushed, so it is left "
        f"out: `ptheta evaluate {run.called}`, then push again",
        stacklevel=4,
    )
    return None


def _size(part: Path | bytes) -> int:
    return len(part) if isinstance(part, bytes) else part.stat().st_size


def _bytes(part: Path | bytes) -> bytes:
    return part if isinstance(part, bytes) else part.read_bytes()
