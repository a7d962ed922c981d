"""The Python interface: create, train, load, evaluate."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ptheta import config, plan, registry
from ptheta.data.dataset import Dataset
from ptheta.data.decode import LARGEST_NATURAL, RESIZED
from ptheta.errors import PthetaError
from ptheta.files import digest, make_folder, write_json
from ptheta.pixels import ImageSpec
from ptheta.plan import Plan
from ptheta.runs import FITTED, FORMAT, Run, build_model, open_plan_data
from ptheta.training.checkpoint import save_tensors
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
    **options: Any,
) -> Run:
    """Trains a model of the registry and returns its run.

    model, recipe: a name of the registry, and one of that model's recipes
    data: a name of a data set, or a path (see `ptheta.open_data`)
    out: the run folder; may exist only with resume=True
    options: fields of the model's config, of `DataSettings` (plan) and of `TrainSettings`

    Raises PthetaError for bad input, an existing run without `resume`, a loss that is not finite;
    Interrupted after SIGINT or SIGTERM, once the checkpoint is written.
    """
    folder = Path(out).expanduser()
    started = (folder / "config.json").exists()
    if started and not resume:
        raise PthetaError(f"{folder} holds a run: add --resume to go on, or choose another --out")
    if folder.is_dir() and not started and any(folder.iterdir()):
        raise PthetaError(f"{folder} is not empty and not a run: choose another --out")
    if started:
        old = Run.open(folder).plan
        asked = plan.make(model, data, {"steps": 1})
        for what, was, now in (("model", old.model, model), ("data", old.source, asked.source)):
            if was != now:
                raise PthetaError(
                    f"{folder} was trained with {what} {was}, not {now}: choose another --out"
                )
        new = plan.extend(old, options)
    else:
        new = plan.make(model, data, options, recipe)
    # plain values: the launcher copies its arguments field by field
    stopped = launch(new.train, _work, new.to_json(), str(folder), started)
    if stopped is not None:
        raise Interrupted(
            f"stopped by {signal.Signals(stopped).name}; "
            f"a checkpoint is in {folder}: go on with --resume",
            stopped,
        )
    return Run.open(folder)


def _work(fabric: Any, values: dict[str, Any], out: str, started: bool) -> int | None:
    """One process of a training: the number of the signal that ended it, or None."""
    p, folder = Plan.from_json(values), Path(out)
    if fabric.device.type == "cpu":
        keep_large_blocks()
    if p.train.threads:
        torch.set_num_threads(p.train.threads)
    elif fabric.world_size > 1 and fabric.device.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // fabric.world_size))
    data = open_plan_data(p, "train")
    if len(data) < 2:
        raise PthetaError(f"{p.source} holds 1 image, too few to train on: give at least two")
    spec, held, score = data.spec, min(p.train.held_out, len(data) // 10), None
    torch.manual_seed(p.train.seed)
    model = build_model(p, spec)
    _check_conditions(model, data, p.source)
    about = {
        "format": FORMAT,
        **p.to_json(),
        "spec": {"channels": spec.channels, "height": spec.height, "width": spec.width}
        | {"levels": spec.levels},
        "dataset": {
            "name": data.name,
            "images": len(data),
            "classes": list(data.classes),
            "skipped": list(data.skipped),
        },
        "parameters": sum(q.numel() for q in model.parameters()),
        "versions": plan.versions(),
    }
    if held >= LEAST_HELD_OUT and p.train.best == "metric":
        data, reserve = data.hold_out(held, seed=p.train.seed)
        score = _score(reserve)
    if fabric.global_rank == 0:
        make_folder(folder)
        write_json(folder / "config.json", about)
    fabric.barrier()
    # after the weights, which all processes draw alike, each has noise of its own
    torch.manual_seed(p.train.seed + 1_000_003 * (fabric.global_rank + 1))
    title = f"{p.model} on {data.name}"
    trainer = Trainer(model, data, p.train, folder, fabric, title=title, score=score)
    if started:
        trainer.resume()
    trainer.run()
    return trainer.stop_signal


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

    return Selection(reserve, default_extractor(reserve))


def load(run: str | Path, weights: str = "best") -> nn.Module:
    """The trained model of a run folder, in eval mode. weights: "best" or "last"."""
    return Run.open(run).model(weights)


def fit(
    run: str | Path,
    *,
    components: int = 10,
    images: int = 20_000,
    weights: str = "best",
    seed: int = 0,
) -> nn.Module:
    """Fits a Gaussian mixture to the codes of training images and keeps it in the run folder, so
    that an autoencoder can sample, too. Returns the model with it.

    components: of the mixture; images: at most so many codes; weights: "best" or "last"
    Raises PthetaError where the model cannot encode and decode.
    """
    from ptheta.metrics.latent import codes
    from ptheta.tasks.fit import fit as fit_mixture

    opened = Run.open(run)
    model = opened.model(weights, prior="own")
    fitted = fit_mixture(
        model, codes(model, opened.data("train"), images), components=components, seed=seed
    )
    mixture = {name: getattr(fitted, name) for name in ("weights", "means", "factors")}
    about = {"weights": digest(opened.weights_file(weights)), "components": str(components)}
    save_tensors(opened.path / FITTED, mixture, about)
    return fitted


def probe(
    run: str | Path, labels: Sequence[int | None] = (10, 100, 1000, None), **options: Any
) -> list[Any]:
    """How much of the labels the run's representation holds: `ptheta.tasks.probe.probe` on the
    training and test images of its data. labels: None is all of them.

    Raises PthetaError where the data has no labels, or the model no representation.
    """
    from ptheta.tasks.probe import probe as measure

    opened = Run.open(run)
    sets = []
    for split in ("train", "test"):
        data = opened.data(split)
        batch = data.batch(slice(0, len(data)))
        if batch.y is None or data.by_attributes:
            raise PthetaError(f"{data.name} ({split}) has no labels: probe on labelled images")
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
    n: int = 500,
    pairs: int = 10,
    seed: int = 0,
    size: int | None = None,
    channels: int | None = None,
) -> tuple[Any, Any]:
    """Of n samples those that are nearest to a training image in pixels, and those images: two
    image batches, uint8 (pairs, C, H, W), nearest first.

    source: a run, or images of any origin, which `data` then has the training images for
    size, channels: as for `score`
    """
    from ptheta import tasks
    from ptheta.metrics.closeness import closest as find

    if data is None:
        run = Run.open(source)
        return find(tasks.sample(run.model(), n, seed=seed), run.data("train"), pairs)
    made, _, train = _made_and_real(source, data, size, channels)
    order = torch.randperm(len(made), generator=torch.Generator().manual_seed(seed))
    return find(made[order[:n]], train, pairs)


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

    options: those of `ptheta.metrics.evaluate.evaluate`. Returns its `Evaluation`.
    """
    from ptheta.metrics.evaluate import evaluate as measure

    opened = Run.open(run)
    opened.warn_if_unfinished()
    about = opened.checkpoint() | {"model": opened.plan.model}
    test, train = opened.data("test", data), opened.data("train")
    result = measure(opened.model(), test, train, about=about, **options)
    result.write(opened.path / "evaluation.json")
    return result
