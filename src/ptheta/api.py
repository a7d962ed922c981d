"""The Python interface: create, train, load, evaluate."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ptheta import config
from ptheta.compute.streams import undisturbed
from ptheta.conditions import ConditionSpec, is_condition, word
from ptheta.data.dataset import Dataset
from ptheta.data.decode import LARGEST_NATURAL
from ptheta.data.memory import Handed, Source
from ptheta.data.names import called
from ptheta.data.request import Columns
from ptheta.data.values import Kind, White
from ptheta.errors import CannotWrite, Interrupted, PthetaError
from ptheta.files.atomic import digest, leftover, locked, make_folder
from ptheta.files.out import check_folder
from ptheta.files.tensors import save_tensors
from ptheta.models import registry
from ptheta.runs import plan, sweeps
from ptheta.runs.folder import FITTED, Run, is_run
from ptheta.runs.from_plan import build_model
from ptheta.runs.worker import work
from ptheta.specs import DataSpec
from ptheta.terminal.signals import Stopped
from ptheta.training.checkpoint import latest, step_of
from ptheta.training.loop import Score
from ptheta.training.processes import launch
from ptheta.training.ranks import refuse_unguarded


class Unwritten(CannotWrite):
    """What was measured could not be written; it is in `evaluation`."""

    def __init__(self, message: str, evaluation: Any) -> None:
        super().__init__(message)
        self.evaluation = evaluation


@undisturbed()
def create(
    name: str, spec: DataSpec, *, condition: ConditionSpec | None = None, **options: Any
) -> nn.Module:
    """A model of the registry with fresh weights, for images of this spec.

    The weights are drawn from torch's random stream as it stands, and it is left there: seed it
    anew for other weights.
    condition: what the model is asked for, `ptheta.Labels(names)` or `ptheta.Attributes(names)`
    options: fields of the model's config. Raises PthetaError for an unknown model or option
    (naming the nearest one), a value out of range, or a spec or condition that the model cannot do.
    """
    if not isinstance(spec, DataSpec):
        raise PthetaError(f"spec = {spec!r}: give a ptheta.ImageSpec")
    if condition is not None and not is_condition(condition):
        raise PthetaError(
            f"condition = {condition!r}: give ptheta.Labels(names) or ptheta.Attributes(names)"
        )
    found = registry.entry(name)
    cls = found.load_config()
    if condition is not None and "condition" in config.options(cls):
        options["condition"] = word(condition)
    return found.build(spec, config.build(cls, options, f"option of {name}"), condition)


@undisturbed()
def train(
    model: str,
    data: Source,
    out: str | Path,
    *,
    recipe: str = "default",
    resume: bool = False,
    more_data: bool = False,
    **options: Any,
) -> Run:
    """Trains a model of the registry and returns its run.

    model, recipe: a name of the registry, and one of that model's recipes
    data: a name of a data set, a path, or images in memory (see `ptheta.open_data`); all of a
        `Dataset` is trained on. With resume: where the images of the run lie now
    out: the run folder; may exist only with resume=True
    more_data: with resume, train on the images that have come to the data since as well
    options: fields of the model's config, of `DataSettings` (plan) and of `TrainSettings`

    Raises PthetaError for bad input, an existing run without `resume`, data that lacks images of
    the run or has others without `more_data` (before anything is written), a loss that is not
    finite; Interrupted after SIGINT, SIGTERM or SIGHUP, once the checkpoint is written, and where a
    signal ended one of several processes.
    """
    refuse_unguarded()
    if more_data and not resume:
        raise PthetaError("--more-data is for a run that goes on: add --resume, or leave it out")
    folder = check_folder(out)
    with locked(folder, "training"):
        return _train(model, data, folder, recipe, resume, more_data, options)


def _train(
    model: str,
    data: Source,
    folder: Path,
    recipe: str,
    resume: bool,
    more_data: bool,
    options: dict[str, Any],
) -> Run:
    """`train`, once the folder is held."""
    started = (folder / "config.json").exists()
    if started and not resume:
        raise PthetaError(f"{folder} holds a run: add --resume to go on, or choose another --out")
    if not started and not all(map(leftover, folder.iterdir())):
        raise PthetaError(f"{folder} is not empty and not a run: choose another --out")
    if started:
        old = Run.open(folder).plan
        if old.model != model:
            raise PthetaError(
                f"{folder} was trained with model {old.model}, not {model}: choose another --out"
            )
        place = plan.record(data) if isinstance(data, str | Path) else old.source
        new = replace(plan.extend(old, options), source=place)
    else:
        if isinstance(data, Dataset) and data.levels != 256:
            options = {"levels": data.levels, "dynamic": data.dynamic} | options
        new = plan.make(model, data, options, recipe)
    handed = None if isinstance(data, str | Path) else Handed(data)
    try:
        given = (new.to_json(), str(folder), started, more_data, handed, _scorer)
        stopped = launch(new.train, work, *given)
        if stopped is not None:
            raise Stopped(stopped)
    except (Interrupted, Stopped) as by:
        raise Interrupted(f"{by}; {_what_is_left(folder)}", by.number) from None
    return Run.open(folder)


def _scorer(reserve: Dataset) -> Score:
    """What chooses the best checkpoint by these images, in each process of a training."""
    from ptheta.extractors.features import default_extractor
    from ptheta.metrics.selection import Selection

    return Selection(reserve, default_extractor(reserve))


@undisturbed()
def sweep(
    model: str,
    data: str | Path,
    out: str | Path,
    settings: Sequence[Mapping[str, Any]],
    *,
    seeds: int = 1,
    recipe: str = "default",
    **options: Any,
) -> sweeps.Sweep:
    """Trains `model` with each of the settings and each of the seeds 0, 1, ..., into
    out/NAME=VALUE,...,seed=N. What an earlier call has done is kept, so a sweep may be stopped and
    called again. All settings are trained with seed 0 first, then all with seed 1, and so on.

    settings: tables of options, such as `ptheta.runs.sweeps.grid` gives; options: those that all
        runs share
    A training that ends in an error (a loss that is not finite) is a result: it is recorded, and
    the others go on. Raises PthetaError, before any training, for settings that cannot be trained.
    """
    return sweeps.sweep(train, model, data, out, settings, seeds=seeds, recipe=recipe, **options)


def _what_is_left(folder: Path) -> str:
    """Where a run that was ended by a signal can go on."""
    last = latest(folder / "state")
    if last is not None:
        return f"the checkpoint of step {step_of(last):,} is in {folder}: go on with --resume"
    if (folder / "config.json").exists():
        return f"{folder} has no checkpoint yet: begin again with --resume"
    return f"nothing is in {folder} yet: train again"


@undisturbed()
def load(run: str | Path, weights: str = "best") -> nn.Module:
    """The trained model of a run folder, in eval mode. weights: "best" or "last"."""
    return Run.open(run).model(weights)


@undisturbed()
def fit(
    run: str | Path,
    data: Source | None = None,
    *,
    components: int = 10,
    images: int = 20_000,
    weights: str = "best",
    seed: int = 0,
) -> nn.Module:
    """Fits a Gaussian mixture to the codes of training images and keeps it in the run folder, so
    that an autoencoder can sample, too. Returns the model with it.

    data: where the run's data lies now; default: where it lay in training
    components: of the mixture; images: at most so many codes; weights: "best" or "last"
    Raises PthetaError where the model cannot encode and decode, and where the images that it was
    trained on are not there.
    """
    from ptheta.metrics.latent import codes
    from ptheta.tasks.fit import fit as fit_mixture

    opened = Run.open(run)
    make_folder(opened.path)  # what cannot be kept is refused before the work
    model = opened.model(weights, prior="own")
    fitted = fit_mixture(
        model, codes(model, opened.data("train", data), images), components=components, seed=seed
    )
    mixture = {name: getattr(fitted, name) for name in ("weights", "means", "factors")}
    about = {"weights": digest(opened.weights_file(weights)), "components": str(components)}
    save_tensors(opened.path / FITTED, mixture, about)
    return fitted


@undisturbed()
def probe(
    run: str | Path,
    labels: Sequence[int | None] = (10, 100, 1000, None),
    data: Source | None = None,
    **options: Any,
) -> list[Any]:
    """How much of the labels the run's representation holds: `ptheta.tasks.probe.probe` on the
    training and test images of its data.

    labels: None is all of them; data: where the run's data lies now
    Raises PthetaError where the data has no labels or is not the run's, or the model has no
    representation.
    """
    from ptheta.tasks.probe import probe as measure

    opened = Run.open(run)
    found, sets = opened.own(data), []
    assert found.train is not None
    for some in (found.train, found.test):
        batch = some.batch(slice(0, len(some)))
        labels_of = batch.extra.get("labels")
        if labels_of is None:
            raise PthetaError(f"{some.name} ({some.split}) has no labels: probe on labelled images")
        sets.append((batch.x, labels_of))
    counts = [len(sets[0][0]) if n is None else n for n in labels]
    model = opened.model(prior="own")

    def fresh() -> nn.Module:
        return build_model(opened.plan, opened.spec, opened.condition)

    return measure(model, fresh, sets[0], sets[1], counts, **options)


@undisturbed()
def score(
    images: Source,
    data: Source,
    *,
    size: int | None = None,
    channels: int | None = None,
    image_column: str | None = None,
    **options: Any,
) -> Any:
    """Measures the images of a folder (or of any source), made by whatever program, against the
    test images of `data`.

    size, channels: what both are brought to (antialiased, cropped); default: as they are, and then
        they must agree
    image_column: of either that has columns
    options: those of `ptheta.metrics.evaluate.score`. Returns its `Evaluation`.
    Raises PthetaError where either cannot be read, where they differ in size or channels, and for
    fewer than two images.
    """
    from ptheta.metrics.evaluate import score as measure

    made, test, train = _made_and_real(images, data, size, channels, image_column)
    about = {} if size is None else {"resized_to": f"{size}x{size}, Lanczos, antialiased"}
    return measure(made, test, train, about=about, **options)


@undisturbed()
def closest(
    source: Source,
    data: Source | None = None,
    *,
    of: Literal["train", "test"] = "train",
    n: int = 500,
    pairs: int = 10,
    seed: int = 0,
    size: int | None = None,
    channels: int | None = None,
    image_column: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of n samples those that are nearest to a real image in pixels, and those images: two image
    batches, uint8 (pairs, C, H, W), nearest first.

    source: a run, or images of any origin, which `data` then has the real images for
    data: of a run: where its data lies now
    of: which real images, "train" or "test"
    size, channels, image_column: as for `score`
    Raises PthetaError where the images that a run was trained on are not there.
    """
    from ptheta import tasks
    from ptheta.metrics.closeness import closest as find

    if of not in ("train", "test"):
        raise PthetaError(f"of = {of!r}: choose 'train' or 'test'")
    if isinstance(source, str | Path) and (data is None or is_run(source)):
        run = Run.open(source)
        found = run.own(data)
        real = found.train if of == "train" else found.test
        assert real is not None
        return find(tasks.sample(run.model(), n, seed=seed), real, pairs)
    if data is None:
        raise PthetaError("images of any origin need real ones beside them: give data")
    made, test, train = _made_and_real(source, data, size, channels, image_column)
    order = torch.randperm(len(made), generator=torch.Generator().manual_seed(seed))
    return find(made[order[:n]], train if of == "train" else test, pairs)


def _made_and_real(
    images: Source,
    data: Source,
    size: int | None,
    channels: int | None,
    image_column: str | None,
) -> tuple[torch.Tensor, Dataset, Dataset]:
    """Images of any origin, and the real ones (test, train), all of one size and colour."""
    from ptheta.data import open_data
    from ptheta.data.sources import columns_there, open_whole

    alike: dict[str, Any] = {"size": size, "channels": channels}
    columns: Columns = {"image_column": image_column}
    theirs, ours = (columns_there(source, columns) for source in (images, data))
    if image_column is not None and not theirs and not ours:
        raise PthetaError(
            f"--image-column {image_column}: neither {called(images)} nor {called(data)} has "
            "columns; leave it out"
        )
    test, train = (open_data(data, split, **alike, **ours) for split in ("test", "train"))
    # 8-bit pictures have one white each, of whatever program they are
    known: dict[Kind, float] = {k: v for k, v in test.whites.items() if k != "8-bit"}
    made = open_whole(images, white=White(known=known), **alike, **theirs)
    for source, resized in ((data, test.resized), (images, made.resized)):
        if size is None and resized:
            raise PthetaError(
                f"{called(source)} holds images of several sizes or of more than "
                f"{LARGEST_NATURAL} pixels: say by --size which to measure at, such as --size 64"
            )
    if made.images.shape[1:] != test.spec.shape:
        size_of = "x".join(map(str, made.images.shape[1:]))
        raise PthetaError(
            f"{called(images)} holds images of {size_of} (channels, height, width), "
            f"{called(data)} of {'x'.join(map(str, test.spec.shape))}: give --size and "
            "--channels to bring both to"
        )
    return made.images, test, train


@undisturbed()
def evaluate(run: str | Path, data: Source | None = None, **options: Any) -> Any:
    """Evaluates a run on its data's test split (or another source) and writes evaluation.json.

    data: where the run's data lies now, or other images. What the run was trained on is left out
        of the test images, and where the data is not the run's no number says whether it copies
    options: those of `ptheta.metrics.evaluate.evaluate`. Returns its `Evaluation`.
    Raises Unwritten, which holds the evaluation, where its file cannot be written.
    """
    from ptheta.metrics.evaluate import evaluate as measure

    opened = Run.open(run)
    opened.warn_if_unfinished()
    kept = os.access(opened.path, os.W_OK)
    if not kept:
        warnings.warn(f"{opened.path} cannot be written: no evaluation.json is kept", stacklevel=3)
    found = opened.look(data)
    if (text := opened.remark(found, data)) is not None:
        warnings.warn(text, stacklevel=3)
    why = opened.no_copies(found, data)
    result = measure(
        opened.model(),
        found.test,
        None if why else found.train,
        no_copies=why,
        about=opened.checkpoint() | {"model": opened.plan.model},
        **options,
    )
    if kept:
        try:
            result.write(opened.path / "evaluation.json")
        except CannotWrite as error:
            raise Unwritten(str(error), result) from None
    return result
