"""The Python interface: create, train, load, evaluate."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from ptheta import config, plan, registry
from ptheta.data.dataset import Dataset
from ptheta.data.decode import LARGEST_NATURAL, RESIZED
from ptheta.data.trained import Record, joined, set_aside
from ptheta.errors import PthetaError
from ptheta.files import digest, make_folder, write_json
from ptheta.pixels import ImageSpec
from ptheta.plan import Plan
from ptheta.runs import FITTED, FORMAT, RECORD, Run, build_model, is_run, open_plan_data
from ptheta.training.checkpoint import latest, save_tensors
from ptheta.training.loop import Score, Trainer
from ptheta.training.processes import keep_large_blocks, launch

LEAST_HELD_OUT = 20  # fewer images say nothing about which checkpoint is best


class Interrupted(PthetaError):
    """Training was stopped by a signal; a checkpoint was written first."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


def create(name: str, spec: ImageSpec, **options: Any) -> nn.Module:
    """A model of the registry with fresh weights, for images of this spec.

    options: fields of the model's config. Raises PthetaError for an unknown model or option
    (naming the nearest one), a value out of range, or a spec that the model cannot do.
    """
    found = registry.entry(name)
    return found.load_model()(spec, config.build(found.load_config(), options, f"option of {name}"))


def train(
    model: str,
    data: str | Path,
    out: str | Path,
    *,
    recipe: str = "default",
    resume: bool = False,
    more_data: bool = False,
    **options: Any,
) -> Run:
    """Trains a model of the registry and returns its run.

    model, recipe: a name of the registry, and one of that model's recipes
    data: a name of a data set, or a path (see `ptheta.open_data`). With resume: where the images
        of the run lie now
    out: the run folder; may exist only with resume=True
    more_data: with resume, train on the images that have come to the data since as well
    options: fields of the model's config, of `DataSettings` (plan) and of `TrainSettings`

    Raises PthetaError for bad input, an existing run without `resume`, data that lacks images of
    the run or has others without `more_data` (before anything is written), a loss that is not
    finite; Interrupted after SIGINT or SIGTERM, once the checkpoint is written.
    """
    folder = Path(out).expanduser()
    started = (folder / "config.json").exists()
    if started and not resume:
        raise PthetaError(f"{folder} holds a run: add --resume to go on, or choose another --out")
    if folder.is_dir() and not started and any(folder.iterdir()):
        raise PthetaError(f"{folder} is not empty and not a run: choose another --out")
    if more_data and not resume:
        raise PthetaError("--more-data is for a run that goes on: add --resume, or leave it out")
    if started:
        old = Run.open(folder).plan
        if old.model != model:
            raise PthetaError(
                f"{folder} was trained with model {old.model}, not {model}: choose another --out"
            )
        where = plan.make(model, data, {"steps": 1}).source
        new = replace(plan.extend(old, options), source=where)
    else:
        new = plan.make(model, data, options, recipe)
    # plain values: the launcher copies its arguments field by field
    stopped = launch(new.train, _work, new.to_json(), str(folder), started, more_data)
    if stopped is not None:
        raise Interrupted(
            f"stopped by {signal.Signals(stopped).name}; "
            f"a checkpoint is in {folder}: go on with --resume",
            stopped,
        )
    return Run.open(folder)


class _Ready(NamedTuple):
    """What a training starts with. data: to train on; reserve: what chooses the best checkpoint

    record: to be written, or None where the run does not remember; name: of the data
    """

    data: Dataset
    reserve: Dataset | None
    record: Record | None
    name: str

    @property
    def split(self) -> Dataset:
        return self.data if self.reserve is None else joined(self.data, self.reserve)


def _work(fabric: Any, values: dict[str, Any], out: str, started: bool, more: bool) -> int | None:
    """One process of a training: the number of the signal that ended it, or None."""
    p, folder = Plan.from_json(values), Path(out)
    if fabric.device.type == "cpu":
        keep_large_blocks()
    if p.train.threads:
        torch.set_num_threads(p.train.threads)
    elif fabric.world_size > 1 and fabric.device.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // fabric.world_size))
    ready = _go_on(Run.open(folder), p, more) if started else _begin(p)
    data, spec = ready.data, ready.data.spec
    torch.manual_seed(p.train.seed)
    model = build_model(p, spec)
    _check_conditions(model, data, p.source)
    score = None if ready.reserve is None else _score(ready.reserve)
    fabric.barrier()  # until every process has decided by the files of before
    if fabric.global_rank == 0:
        make_folder(folder)
        write_json(folder / "config.json", _about(p, ready, model))
        if ready.record is not None:
            ready.record.write(folder / RECORD)
    fabric.barrier()
    # after the weights, which all processes draw alike, each has noise of its own
    torch.manual_seed(p.train.seed + 1_000_003 * (fabric.global_rank + 1))
    title = f"{p.model} on {data.name}"
    trainer = Trainer(model, data, p.train, folder, fabric, title=title, score=score)
    if started:
        trainer.resume()
    trainer.run()
    return trainer.stop_signal


def _begin(p: Plan) -> _Ready:
    """The data of a new run."""
    data = open_plan_data(p, "train")
    if len(data) < 2:
        raise PthetaError(f"{p.source} holds 1 image, too few to train on: give at least two")
    data, reserve = _set_aside(p, data)
    return _Ready(data, reserve, Record.of(data, reserve), data.name)


def _set_aside(p: Plan, data: Dataset) -> tuple[Dataset, Dataset | None]:
    held = min(p.train.held_out, len(data) // 10)
    if held < LEAST_HELD_OUT or p.train.best != "metric":
        return data, None
    return set_aside(data, held, seed=p.train.seed)


def _go_on(run: Run, p: Plan, more: bool) -> _Ready:
    """The data of a run that goes on: its images in its order, wherever they lie now.

    Raises PthetaError where some of them are missing, and where others have come without `more`.
    """
    if run.record is None and latest(run.path / "state") is None:
        return _begin(p)  # stopped before anything was learned
    found = run.own(p.source)
    assert found.images is not None
    if found.kind == "unknown":
        known = run.about["dataset"]["images"]
        if len(found.images) != known:
            raise PthetaError(
                f"{p.source} has {len(found.images):,} training images, {run.path} was trained on "
                f"{known:,}: give the data that it was trained on with --data"
            )
        data, reserve = _set_aside(p, found.images)
        return _Ready(data, reserve, None, data.name)
    data, name = found.images, run.about["dataset"]["name"]
    if found.new is not None and not more:
        raise PthetaError(
            f"{p.source} has {len(found.new):,} training images that {run.path} was not trained "
            "on: add --more-data to train on them as well, or take them out"
        )
    if found.new is not None:
        data = joined(data, found.new)
    return _Ready(data, found.reserve, Record.of(data, found.reserve), name)


def _about(p: Plan, ready: _Ready, model: nn.Module) -> dict[str, Any]:
    """What config.json says of a run."""
    split = ready.split
    dataset: dict[str, Any] = {
        "name": ready.name,
        "images": len(split),
        "classes": list(split.classes),
        "skipped": list(split.skipped),
    }
    if ready.record is not None:
        dataset["fingerprint"] = ready.record.fingerprint
    return {
        "format": FORMAT,
        **p.to_json(),
        "spec": {"channels": split.spec.channels, "height": split.spec.height}
        | {"width": split.spec.width, "levels": split.spec.levels},
        "dataset": dataset,
        "parameters": sum(q.numel() for q in model.parameters()),
        "versions": plan.versions(),
    }


def _check_conditions(model: nn.Module, data: Dataset, source: str) -> None:
    """Raises PthetaError where the data cannot tell a conditional model its condition."""
    classes: int = getattr(model, "classes", 0)
    attributes: int = getattr(model, "attributes", 0)
    if classes and data.labels is None:
        raise PthetaError(
            f"{source} has no labels and classes = {classes} wants them: put the images into one "
            "subfolder for each class, or train an unconditional model"
        )
    if classes and data.labels is not None and int(data.labels.max()) >= classes:
        raise PthetaError(
            f"{source} has {int(data.labels.max()) + 1} labels, more than classes = {classes}: "
            "raise it"
        )
    if attributes:
        found = 0 if data.attributes is None else data.attributes.shape[1]
        if found != attributes:
            raise PthetaError(
                f"{source} has {found or 'no'} attributes, and attributes = {attributes} was "
                f"asked for: {'leave them out' if not found else f'give {found}'}"
            )


def _score(reserve: Any) -> Score:
    from ptheta.metrics.features import default_extractor
    from ptheta.metrics.selection import Selection

    return Selection(reserve, default_extractor(reserve.name, reserve.spec))


def load(run: str | Path, weights: str = "best") -> nn.Module:
    """The trained model of a run folder, in eval mode. weights: "best" or "last"."""
    return Run.open(run).model(weights)


def fit(
    run: str | Path,
    data: str | None = None,
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
    model = opened.model(weights, prior="own")
    fitted = fit_mixture(
        model, codes(model, opened.data("train", data), images), components=components, seed=seed
    )
    mixture = {name: getattr(fitted, name) for name in ("weights", "means", "factors")}
    about = {"weights": digest(opened.weights_file(weights)), "components": str(components)}
    save_tensors(opened.path / FITTED, mixture, about)
    return fitted


def probe(
    run: str | Path,
    labels: Sequence[int | None] = (10, 100, 1000, None),
    data: str | None = None,
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
        if batch.y is None or some.by_attributes:
            raise PthetaError(f"{some.name} ({some.split}) has no labels: probe on labelled images")
        sets.append((batch.x, batch.y))
    counts = [len(sets[0][0]) if n is None else n for n in labels]
    model = opened.model(prior="own")
    return measure(
        model, lambda: build_model(opened.plan, opened.spec), sets[0], sets[1], counts, **options
    )


def score(
    images: str | Path,
    data: str,
    *,
    size: int | None = None,
    channels: int | None = None,
    **options: Any,
) -> Any:
    """Measures the images of a folder (or of any source), made by whatever program, against the
    test images of `data`.

    size, channels: what both are brought to (antialiased, cropped); default: as they are, and then
        they must agree
    options: those of `ptheta.metrics.evaluate.score`. Returns its `Evaluation`.
    Raises PthetaError where either cannot be read, where they differ in size or channels, and for
    fewer than two images.
    """
    from ptheta.metrics.evaluate import score as measure

    made, test, train = _made_and_real(images, data, size, channels)
    about = {} if size is None else {"resized_to": f"{size}x{size}, Lanczos, antialiased"}
    return measure(made, test, train, about=about, **options)


def closest(
    source: str | Path,
    data: str | None = None,
    *,
    of: Literal["train", "test"] = "train",
    n: int = 500,
    pairs: int = 10,
    seed: int = 0,
    size: int | None = None,
    channels: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of n samples those that are nearest to a real image in pixels, and those images: two image
    batches, uint8 (pairs, C, H, W), nearest first.

    source: a run, or images of any origin, which `data` then has the real images for
    data: of a run: where its data lies now
    of: which real images, "train" or "test"
    size, channels: as for `score`
    Raises PthetaError where the images that a run was trained on are not there.
    """
    from ptheta import tasks
    from ptheta.metrics.closeness import closest as find

    if of not in ("train", "test"):
        raise PthetaError(f"of = {of!r}: choose 'train' or 'test'")
    if data is None or is_run(source):
        run = Run.open(source)
        found = run.own(data)
        real = found.train if of == "train" else found.test
        assert real is not None
        return find(tasks.sample(run.model(), n, seed=seed), real, pairs)
    made, test, train = _made_and_real(source, data, size, channels)
    order = torch.randperm(len(made), generator=torch.Generator().manual_seed(seed))
    return find(made[order[:n]], train if of == "train" else test, pairs)


def _made_and_real(
    images: str | Path, data: str, size: int | None, channels: int | None
) -> tuple[torch.Tensor, Dataset, Dataset]:
    """Images of any origin, and the real ones (test, train), all of one size and colour."""
    from ptheta.data import open_data
    from ptheta.data.sources import open_whole

    alike: dict[str, Any] = {"size": size, "channels": channels}
    test, train = open_data(data, "test", **alike), open_data(data, "train", **alike)
    made = open_whole(images, **alike)
    for source, notes in ((data, test.notes), (images, made.notes)):
        if size is None and any(RESIZED in note for note in notes):
            raise PthetaError(
                f"{source} holds images of several sizes or of more than {LARGEST_NATURAL} pixels: "
                "say by --size which to measure at, such as --size 64"
            )
    if made.images.shape[1:] != test.spec.shape:
        theirs = "x".join(map(str, made.images.shape[1:]))
        raise PthetaError(
            f"{images} holds images of {theirs} (channels, height, width), {data} of "
            f"{'x'.join(map(str, test.spec.shape))}: give --size and --channels to bring both to"
        )
    return made.images, test, train


def evaluate(run: str | Path, data: str | None = None, **options: Any) -> Any:
    """Evaluates a run on its data's test split (or another source) and writes evaluation.json.

    data: where the run's data lies now, or other images. What the run was trained on is left out
        of the test images, and where the data is not the run's no number says whether it copies
    options: those of `ptheta.metrics.evaluate.evaluate`. Returns its `Evaluation`.
    """
    from ptheta.metrics.evaluate import evaluate as measure

    opened = Run.open(run)
    opened.warn_if_unfinished()
    found = opened.look(data)
    if (text := opened.remark(found, data)) is not None:
        warnings.warn(text, stacklevel=2)
    why = opened.no_copies(found, data)
    result = measure(
        opened.model(),
        found.test,
        None if why else found.train,
        no_copies=why,
        about=opened.checkpoint() | {"model": opened.plan.model},
        **options,
    )
    result.write(opened.path / "evaluation.json")
    return result
