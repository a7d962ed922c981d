"""The `chain` function: film and mixing diagnostics of a model's Markov chain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ptheta import tasks
from ptheta.api.export import Images, composed
from ptheta.api.films import film_side, is_film
from ptheta.api.grid import Block, Output
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.placed import placed
from ptheta.extractors.table import choose_extractor, load_extractor
from ptheta.files import html
from ptheta.files.films import FILM, write_gif
from ptheta.files.images import between, grid
from ptheta.files.out import check_file
from ptheta.measures.chains import Mixing, changes, indicators, mixing, thinned
from ptheta.runs.folder import Run
from ptheta.specs import DataSpec, ImageSpec, images_only
from ptheta.tasks.chain import Classify, Walk

COLUMNS = 20  # default number of states in a film
HEADS = ("of", "effective sample size", "autocorrelation time, steps", "split R-hat")


@dataclass(frozen=True)
class Chained:
    """Result of `ptheta.chain`.

    mixing: autocorrelation, autocorrelation time and derived values, by monitored quantity
    changes: fraction of steps into another class; None without a classifier
    images: states at regular intervals, one row for each chain; None for tables
    """

    chains: int
    steps: int
    mixing: Mapping[str, Mixing]
    changes: float | None
    images: Images | None
    about: str
    path: Path | None = None

    def __repr__(self) -> str:
        where = "" if self.path is None else f", in {str(self.path)!r}"
        return f"Chained({self.about}{where})"

    def _repr_html_(self) -> str:
        """Notebook display: the film and the table."""
        if self.images is None:
            return html.card(self, "")
        film = composed(self.images, self.images.n // self.chains)
        return html.card(self, html.picture(film, self.about))

    def blocks(self) -> list[Block]:
        """The printed output: a line for each monitored quantity."""
        rows: list[tuple[str, ...]] = [HEADS]
        rows += [(what, *map(_number, (m.effective, m.time, m.r_hat))) for what, m in self.each()]
        lags = [(what, dict(thinned(m.autocorrelation, self.steps))) for what, m in self.each()]
        every = sorted({lag for _, found in lags for lag in found})
        fall: list[tuple[str, ...]] = [("lag, steps", *map(str, every))]
        fall += [(what, *(f"{found[lag]:.2f}" for lag in every)) for what, found in lags if found]
        lines = [f"{self.steps:,} steps of {self.chains} chains"]
        if self.changes is not None:
            lines.append(f"{100 * self.changes:.3g} % of the steps change the class")
        blocks = [Block(rows=rows, lines=lines)]
        return [*blocks, Block("autocorrelation", fall)] if every else blocks

    def each(self) -> list[tuple[str, Mixing]]:
        return list(self.mixing.items())

    def to_json(self) -> dict[str, object]:
        return {
            "chains": self.chains,
            "steps": self.steps,
            "of": {what: m.to_json() for what, m in self.each()},
            "class_changes": self.changes,
            "path": None if self.path is None else str(self.path),
        }


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"


@on_device
def chain(
    run: str | Path | Run,
    *,
    steps: int = 1000,
    chains: int = 8,
    every: int | None = None,
    burn: int = 0,
    extractor: str | None = None,
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Chained:
    """Run the Markov chain of a trained model; measure its mixing and optionally record a film.

    Args:
        run: run folder, or a `Run`
        steps: number of steps of each chain
        chains: number of chains
        every: steps between two recorded states of the film; default: chosen to record about 20
            states
        burn: number of burn-in steps, which are discarded
        extractor: name of a classifier whose predicted classes are also tracked; default: the one
            trained on images of this kind, if there is one
        data: new location of the run's data, from which that kind is determined
        weights: "best" or "last" weights of the run
        seed: random seed
        out: film to write: an image with a row for each chain, an array, a folder, or a .gif
        scale: as for `sample`
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model has no Markov chain, if a film of non-images is requested, or if
            `out` cannot be written
    """
    check_numbers(steps=steps, chains=chains, every=every, burn=burn, seed=seed)
    film = is_film(out)
    place = check_file(str(out), (FILM,)) if film else None
    output = Output.at(None if film else out, None if film else scale)
    opened = Run.open(run)
    every = max(1, -(-steps // COLUMNS)) if every is None else every
    frames = -(-steps // every)
    if out is not None:
        images_only(opened.spec, "a film", "leave out --out")
        output.check(chains * frames, opened.spec, frames)
    side = 1 if place is None else _side(opened.spec, chains, frames, scale)
    seen = _classifier(opened, extractor, data)
    classify, model = None if seen is None else _classes(seen), opened.model(weights)
    how = {"every": every, "burn": burn, "seed": seed}
    walk = tasks.chain(model, steps, chains, classify=classify, **how)
    images = _images(walk) if isinstance(opened.spec, ImageSpec) else None
    about = f"{chains} chains, {'each state' if every == 1 else f'a state every {every} steps'}"
    if place is not None:
        ground = between(walk.states[0])
        write_gif(place, [grid(states, background=ground) for states in walk.states], side)
    elif images is not None:
        output.write(images, about, frames)
    mixing, moved = _mixing(walk, 0 if seen is None else seen.classes)
    return Chained(chains, steps, mixing, moved, images, about, place or output.path)


def _side(spec: DataSpec, chains: int, frames: int, scale: int | None) -> int:
    """Integer enlargement of a film."""
    shape = images_only(spec, "a film").shape
    return film_side(chains, shape, frames, scale, fewer="keep fewer states (--every)")


def _images(walk: Walk) -> Images:
    """The states, one row for each chain."""
    return Images.of(walk.states.transpose(0, 1).flatten(0, 1))


def _mixing(walk: Walk, classes: int) -> tuple[dict[str, Mixing], float | None]:
    found = {}
    if walk.energies is not None:
        found["energy"] = mixing(walk.energies.numpy())
    found["mean"] = mixing(walk.means.numpy())
    if walk.classes is None:
        return found, None
    found["class"] = mixing(indicators(walk.classes.numpy(), classes))
    return found, changes(walk.classes.numpy())


def _classifier(run: Run, asked: str | None, data: Source | None) -> Extractor | None:
    """The given classifier, else the one trained on images of the run's kind.

    Raises PthetaError if the extractor is not a classifier, or for a table.
    """
    if not isinstance(run.spec, ImageSpec):
        if asked is not None or data is not None:
            raise PthetaError("--extractor and --data apply only to images: leave them out")
        return None
    if asked is not None:
        chosen = placed(load_extractor(asked), run.device)
        if not chosen.classes:
            raise PthetaError(f"--extractor {asked} is not a classifier: give digits or fashion")
        return chosen
    try:
        known = run.data("test", data)
    except PthetaError:
        if data is not None:
            raise
        return None  # diagnostics also work if the data is gone
    chosen = placed(choose_extractor(known, None)[0], run.device)
    return chosen if chosen.classes else None


def _classes(extractor: Extractor) -> Classify:
    def classify(x: Tensor) -> Tensor:
        with torch.no_grad():
            logits = extractor(x)[1]
        assert logits is not None
        return logits.argmax(1)

    return classify
