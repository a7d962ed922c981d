"""The `manifold`, `latents`, `fit` and `probe` functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.export import Images
from ptheta.api.grid import Grid, Output, examples
from ptheta.api.on_device import on_device
from ptheta.api.priors import PriorPlan, fit_grid_prior
from ptheta.capabilities import Encodes
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.files.atomic import make_folder
from ptheta.files.out import check_file
from ptheta.metrics.latent import LatentReport, codes, latent_report
from ptheta.models.variational.grid_prior import GridCoder
from ptheta.report import figures
from ptheta.runs.folder import Run
from ptheta.runs.from_plan import build_model
from ptheta.runs.places import refuse_to_change
from ptheta.runs.prior import save_prior
from ptheta.tasks.probe import Probe
from ptheta.tasks.walks import code_size
from ptheta.training.translations import conditions_shown, image_part

USED_BY = 1000  # test images from which the most active dimensions are determined


@on_device
def manifold(
    run: str | Path | Run,
    side: int = 20,
    *,
    dims: tuple[int, int] | None = None,
    label: str | int | None = None,
    data: Source | None = None,
    weights: str = "best",
    out: str | Path | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Grid:
    """Decode a grid of side x side images over two dimensions of the latent space.

    Args:
        run: run folder, or a `Run`
        side: number of images across and down
        dims: the dimensions across and down; default: the two most active on test images if the
            model has an encoder, else the first two
        label: class of a conditional model, by name or index; default: the first class, or the
            first test input for a model conditional on images
        data: new location of the run's data, or other images from which to choose the dimensions
        weights: "best" or "last" weights of the run
        out, scale, device: as for `ptheta.sample`
    """
    output, opened = Output.at(out, scale), Run.open(run, weights)
    output.check(side * side, opened.spec, side)
    model = opened.model()
    pair, how = _two_dimensions(opened, model, dims, data)
    y = None
    if label is None and image_part(model) is not None:
        y = conditions_shown(model, 1, lambda: opened.data("test", data))
    x = tasks.manifold(model, side, dims=pair, label=label, condition=y)
    about = f"{side}x{side} images over dimensions {pair[0]},{pair[1]}{how}"
    return output.write(Images.of(x), about, side)


def _two_dimensions(
    run: Run, model: nn.Module, dims: tuple[int, int] | None, data: Source | None
) -> tuple[tuple[int, int], str]:
    """The dimensions to draw, and a description of how they were chosen."""
    size = code_size(model)
    chosen = dims is None and size > 2 and isinstance(model, Encodes)
    if data is not None and not chosen:
        raise PthetaError(
            "--data is used only to choose the dimensions, which are given: leave it out"
        )
    if dims is not None:
        return dims, ""
    if not chosen:
        return (0, 1), f", the first two of {size}: choose others with --dims" if size > 2 else ""
    _, x, y = examples(run, USED_BY, data, Output(None, None))
    first, second = tasks.most_used(model, x, y)[:2]
    return (first, second), f", the two most active of {size}: choose others with --dims"


@on_device
def latents(
    run: str | Path | Run,
    n: int = 2000,
    *,
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    device: str | None = None,
) -> LatentReport:
    """Analyse the codes of test images: active units, KL of each dimension, q(z) versus p(z).

    Args:
        run: run folder, or a `Run`
        n: number of test images
        data: new location of the run's data, or other images
        weights: "best" or "last" weights of the run
        seed: random seed
        out: .png to plot the result to
        device: as for `ptheta.sample`
    """
    place = None if out is None else check_file(out, (".png",))
    opened = Run.open(run, weights)
    report = latent_report(opened.model(), opened.data("test", data), n=n, seed=seed)
    if place is not None:
        figures.latents(report, place)
    return report


@on_device
def fit(
    run: str | Path | Run,
    data: Source | None = None,
    *,
    model: str | None = None,
    components: int = 10,
    images: int = 20_000,
    weights: str = "best",
    seed: int = 0,
    recipe: str = "default",
    resume: bool = False,
    device: str | None = None,
    **options: object,
) -> nn.Module:
    """Fit a prior to the codes of training images and store it in the run folder.

    A model without a prior of its own can then sample.

    Args:
        run: run folder, or a `Run`
        data: new location of the run's data
        model: for discrete codes on a grid, as of vq-vae: the model of the registry that learns
            the maps of codes, such as "pixelcnn"; it is trained in the folder `prior` of the run.
            None fits a mixture of Gaussians
        components: number of Gaussians of the mixture
        images: maximum number of images to encode
        weights: "best" or "last"
        seed: random seed
        recipe, resume, options: how `model` is trained, as for `ptheta.train`
        device: as for `ptheta.sample`; `model` is trained there, too, by default on a GPU if there
            is one

    Returns:
        The model with its fitted prior.

    Raises:
        PthetaError: if the model cannot encode and decode, or if its training images are missing
    """
    opened = Run.open(run)
    refuse_to_change(opened.path)
    make_folder(opened.path)  # what cannot be kept is refused before the work
    coder = opened.model(weights, prior="own")
    if model is not None:
        where = {} if device is None else {"device": device}
        plan = PriorPlan(model, options | where, recipe, resume, images, weights, seed)
        return fit_grid_prior(opened, coder, plan, data)
    if options or resume or recipe != "default":
        raise PthetaError("recipe, resume and options need model: name the prior to train")
    if isinstance(coder, GridCoder):
        raise PthetaError(
            f"the codes of {opened.plan.model} are discrete: fit an autoregressive prior, "
            f"`ptheta fit {opened.called} --model {coder.usual_prior()}`"
        )
    fitted = tasks.fit(
        coder, codes(coder, opened.data("train", data), images), components=components, seed=seed
    )
    save_prior(opened.path, fitted, opened.weights_file(weights))
    return fitted


@on_device
def probe(
    run: str | Path | Run,
    labels: Sequence[int | None] = (10, 100, 1000, None),
    data: Source | None = None,
    *,
    draws: int = 3,
    steps: int = 300,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    device: str | None = None,
) -> list[Probe]:
    """Evaluate the run's representation by classification: `ptheta.tasks.probe.probe` on its data.

    Args:
        run: run folder, or a `Run`
        labels: numbers of labelled training images, one result each; None for all
        data: new location of the run's data
        draws, steps, seed: as for `ptheta.tasks.probe.probe`
        weights: "best" or "last" weights of the run
        out: .png to plot the result to
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the data has no labels or is not the run's, or if the model has no
            representation
    """
    place = None if out is None else check_file(out, (".png",))
    opened = Run.open(run, weights)
    found = opened.own(data)
    assert found.train is not None
    train, test = (_labelled(some) for some in (found.train, found.test))
    counts = [len(train[0]) if n is None else n for n in labels]

    def fresh() -> nn.Module:
        return build_model(opened.plan, opened.spec, opened.condition)

    model = opened.model(prior="own")
    probes = tasks.probe(model, fresh, train, test, counts, draws=draws, steps=steps, seed=seed)
    if place is not None:
        figures.probes(probes, place)
    return probes


def _labelled(some: Dataset) -> tuple[Tensor, Tensor]:
    """All images and their labels. Raises PthetaError if there are none."""
    batch = some.batch(slice(0, len(some)))
    if (labels := batch.extra.get("labels")) is None:
        raise PthetaError(f"{some.name} ({some.split}) has no labels: probe on labelled images")
    return batch.x, labels
