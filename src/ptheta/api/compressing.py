"""The `compress` and `decompress` functions: lossless compression with a run."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.example_sets import shown_to, some_of
from ptheta.api.export import ARRAYS, Images
from ptheta.api.grid import Block, Grid, Output
from ptheta.api.limits import check_numbers
from ptheta.capabilities import HasLogProb, StepsThrough
from ptheta.compute.streams import undisturbed
from ptheta.compute.threads import using
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.atomic import digest
from ptheta.files.images import PICTURES
from ptheta.files.out import check_new, refuse_source
from ptheta.files.paths import expand
from ptheta.files.ptc import FORMAT, SUFFIX, Header, read_ptc, write_ptc
from ptheta.measures.rivals import SIGN, beats, verdict
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec, images_only
from ptheta.tasks.compress import BATCH, FLOORS
from ptheta.tasks.needs import require
from ptheta.terminal.progress import watched

FILE, CODE, MODEL = "the file", "its code", "the model, -log2 p"


@dataclass(frozen=True)
class Compressed:
    """Result of `ptheta.compress`.

    images, dims: number of images, and sub-pixels of each
    bytes: sizes of the file, of the code in it, by the model's likelihood, and of other formats
    """

    images: int
    dims: int
    bytes: dict[str, float]
    path: Path
    remarks: tuple[str, ...] = ()

    @property
    def bits_per_dim(self) -> dict[str, float]:
        """Bits per sub-pixel, by name."""
        return {name: 8 * size / (self.images * self.dims) for name, size in self.bytes.items()}

    def __repr__(self) -> str:
        rate = self.bits_per_dim[FILE]
        return f"Compressed({self.images:,} images, {rate:.4g} bits/dim, in {str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Notebook display: the table."""
        rows = self.blocks()[0].rows
        return html.card(self, html.table(rows[1:], rows[0]))

    def blocks(self) -> list[Block]:
        """The printed output."""
        rows, own = [["", "bytes", "bytes/image", "bits/dim"]], self.bytes[FILE]
        for name, size in self.bytes.items():
            sign = SIGN if name in FLOORS and beats(size, own, "less") else ""
            rate = f"{self.bits_per_dim[name]:.4f}{sign}"
            rows.append([name, f"{size:,.0f}", f"{size / self.images:,.1f}", rate])
        return [Block(rows=rows, lines=(verdict(rows), *self.remarks))]

    def to_json(self) -> dict[str, object]:
        return {
            "images": self.images,
            "bytes": self.bytes,
            "bits_per_dim": self.bits_per_dim,
            "remarks": list(self.remarks),
            "path": str(self.path),
        }


@undisturbed()
def compress(
    run: str | Path | Run,
    source: Source,
    out: str | Path,
    *,
    split: str | None = None,
    n: int | None = None,
    batch: int = BATCH,
    weights: str = "best",
    seed: int = 0,
    force: bool = False,
) -> Compressed:
    """Compress images losslessly in about -log2 p(x) bits each.

    Args:
        run: run folder, or a `Run`, of an unconditional autoregressive model
        source: any data that `ptheta.open_data` reads, preprocessed as the run's data was
        out: .ptc file to write; `ptheta.decompress` reads it with the same run
        split: split of the source
        n: number of images, chosen at random by the seed; default: all
        batch: batch size of the encoder
        weights: "best" or "last" weights of the run
        seed: random seed
        force: overwrite an existing file

    Raises:
        PthetaError: if the model is not autoregressive or is conditional
    """
    check_numbers(n=n, batch=batch, seed=seed)
    place = check_new(out, (SUFFIX,), "--out", force)
    assert place is not None
    refuse_source(place, source, "data")
    opened = Run.open(run)
    spec = images_only(opened.spec, "compression")
    model = opened.model(weights)
    require(model, StepsThrough, "compress")
    data, remarks = shown_to(opened, source, split, None)
    data = some_of(data, n, seed).with_fixed_binarisation()
    x = data.batch(slice(None)).x
    code = tasks.compress(model, x, batch)
    header = Header(
        format=FORMAT,
        model=_identity(opened, opened.weights_file(weights)),
        pixels=_pixels(x),
        torch=torch.__version__,
        images=len(x),
        batch=batch,
    )
    size = write_ptc(place, header, code)
    sizes = {FILE: float(size), CODE: float(len(code)), **_sizes(model, x, spec)}
    return Compressed(len(x), spec.dims, sizes, place, (*remarks, *_changed(data)))


@undisturbed()
def decompress(
    run: str | Path | Run, file: str | Path, out: str | Path | None = None, *, force: bool = False
) -> Grid:
    """Restore images from a file that `ptheta.compress` wrote with the same run.

    Args:
        run: run folder, or a `Run`, that compressed the file
        file: .ptc file
        out: folder, or array file (x.npy, x.npz), to write
        force: overwrite an existing array

    Raises:
        PthetaError: if the file is damaged, was written with other weights, or does not decode to
            the same images, as on a machine whose floating-point results differ
    """
    output = _lossless(out, force)
    place, opened = expand(file), Run.open(run)
    header, code = read_ptc(place)
    weights = next(
        (w for w in ("best", "last") if _identity(opened, opened.weights_file(w)) == header.model),
        None,
    )
    if weights is None:
        raise PthetaError(
            f"{place} was written with another run, or other weights than {opened.path} has now: "
            "give the original run"
        )
    spec = images_only(opened.spec, "decompression")
    output.check(header.images, spec)
    x = tasks.decompress(opened.model(weights), code, header.images, header.batch)
    if _pixels(x) != header.pixels:
        raise PthetaError(
            f"{place} does not decode to the original images: it was written with torch "
            f"{header.torch} (this is {torch.__version__}) or on another machine; decompress it "
            "there"
        )
    return output.write(Images.of(x), f"{header.images:,} images, restored exactly")


def _lossless(out: str | Path | None, force: bool) -> Output:
    suffix = "" if out is None else Path(out).suffix.lower()
    if suffix in PICTURES:
        raise PthetaError(f"--out {out}: want a folder, or {' or '.join(ARRAYS)}")
    if out is not None and suffix in ARRAYS:
        check_new(out, ARRAYS, "--out", force)
    return Output.at(out, None)


def _identity(run: Run, weights: Path) -> str:
    """Hash of what the probabilities depend on: weights, options and spec."""
    about = json.dumps([run.plan.model, run.about.config, run.spec.to_json()], sort_keys=True)
    return hashlib.sha256(f"{digest(weights)}{about}".encode()).hexdigest()[:32]


def _pixels(x: Tensor) -> str:
    return hashlib.sha256(x.numpy().tobytes()).hexdigest()[:16]


def _sizes(model: nn.Module, x: Tensor, spec: ImageSpec) -> dict[str, float]:
    """Sizes by the model's likelihood and in other formats: bytes, by name."""
    sizes = {MODEL: _model_bits(model, x) / 8} if isinstance(model, HasLogProb) else {}
    for name, floor in watched(list(FLOORS.items()), "other formats"):
        found = floor.size(x.numpy(), spec)
        if found is not None:
            sizes[name] = float(found)
    return sizes


@torch.no_grad()
def _model_bits(model: HasLogProb, x: Tensor) -> float:
    """-log2 p of all images, bits."""
    with using(1):
        nats = [-model.log_prob(part).double().sum().item() for part in x.split(BATCH)]
    return sum(nats) / math.log(2)


def _changed(data: Dataset) -> tuple[str, ...]:
    """Remarks on rounding during preprocessing, which is not restored."""
    spec = images_only(data.spec, "compression")
    if spec.levels == 256 and spec.channels > 1:
        return ()
    what = "grey" if spec.channels == 1 else "each sub-pixel"
    return (f"lossless for the run's preprocessing: {spec.levels} levels of {what}",)
