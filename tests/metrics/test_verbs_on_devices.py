"""Every verb of a trained model computes on the device that it is told, and the same numbers."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ptheta
from ptheta import api
from ptheta.api import Grid, Seen
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from tests.conftest import TINY
from tests.fake_gpu import MISSING, NAME, apart, fake_gpu, gpu
from tests.training.test_runs import QUIET

needs_fake = pytest.mark.skipif(MISSING, reason="this torch has no devices written in Python")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")

# Verbs of a run without the option. In a compressed file the decoder must find the same
# probabilities as the encoder to the last bit, on every machine. The others compute nothing.
ON_THE_CPU = {"compress", "decompress", "log", "push"}
OF_NO_RUN = {"train", "sweep", "models", "completion", "metrics", "data", "report", "demo", "study"}
OF_NO_RUN |= {"launch", "learn"}
RUNS = ("vae", "cvae", "made", "dcgan", "pix2pix", "dae", "ladder-vae")


def trained(data: Path, out: Path) -> Path:
    """Tiny runs of each kind that a verb needs."""
    how: dict[str, Any] = {**QUIET, "levels": 2, "steps": 2, "device": "cpu"}
    out.mkdir()
    for name in RUNS:
        more = {"pairs": "noise"} if name == "pix2pix" else {}
        ptheta.train(name, data, out / name, **{**TINY[name], **how, **more})
    rows = np.random.default_rng(0).normal(size=(300, 2))
    np.savetxt(out / "rows.csv", rows, delimiter=",", header="a,b", comments="")
    ptheta.train("gaussian", out / "rows.csv", out / "table", epochs=1.0, device="cpu")
    rows[::3, 0] = np.nan
    np.savetxt(out / "gaps.csv", rows, delimiter=",", header="a,b", comments="")
    return out


def imputed(at: Path, device: str) -> Tensor:
    """The filled cells."""
    done = ptheta.impute(at / "table", at / "gaps.csv", out=at / "full.csv", force=True, device=device)
    return torch.from_numpy(np.genfromtxt(done.paths[0], delimiter=",", skip_header=1))


Row = Callable[[Path, str], object]
ROWS: dict[str, Row] = {
    "sample": lambda at, on: ptheta.sample(at / "vae", 5, device=on),
    "evaluate": lambda at, on: ptheta.evaluate(at / "made", n=8, extractor="pixels", device=on),
    "inpaint": lambda at, on: ptheta.inpaint(at / "made", n=3, each=2, device=on),
    "score_inpainting": lambda at, on: api.score_inpainting(at / "made", n=4, each=2, device=on),
    "surprise": lambda at, on: ptheta.surprise(at / "made", n=3, device=on),
    "translate": lambda at, on: ptheta.translate(at / "pix2pix", n=3, device=on),
    "reconstruct": lambda at, on: ptheta.reconstruct(at / "vae", n=3, measured=8, device=on),
    "denoise": lambda at, on: ptheta.denoise(at / "vae", n=3, measured=8, device=on),
    "context": lambda at, on: ptheta.context(at / "made", n=3, device=on),
    "impute": imputed,
    "score_imputation": lambda at, on: api.score_imputation(
        at / "table", repeats=1, draws=3, device=on
    ),
    "outliers": lambda at, on: ptheta.outliers(
        *(at / "vae", at.parent / "few.npz"),
        score=["all"],
        background=at / "made",
        samples=2,
        device=on,
    ),
    "usefulness": lambda at, on: ptheta.usefulness(
        at / "table", n=20, repeats=1, device=on
    ),
    "classify": lambda at, on: ptheta.classify(at / "cvae", n=6, samples=2, device=on),
    "encode": lambda at, on: ptheta.encode(at / "vae", n=6, sample=True, device=on),
    "decode": lambda at, on: ptheta.decode(at / "vae", torch.ones(3, 3), device=on),
    "manifold": lambda at, on: ptheta.manifold(at / "vae", 3, device=on),
    "latents": lambda at, on: ptheta.latents(at / "vae", 20, device=on),
    "fit": lambda at, on: ptheta.fit(at / "vae", components=2, device=on),
    "probe": lambda at, on: ptheta.probe(at / "vae", (4,), draws=1, steps=2, device=on),
    "scatter": lambda at, on: ptheta.scatter([at / "vae", at / "dae"], n=20, device=on),
    "layers": lambda at, on: ptheta.layers([at / "ladder-vae"], 20, device=on),
    "interpolate": lambda at, on: ptheta.interpolate(
        [at / "vae", at / "dae"], 2, steps=3, measured=4, device=on
    ),
    "traverse": lambda at, on: ptheta.traverse(at / "vae", 2, steps=3, device=on),
    "neighbours": lambda at, on: ptheta.neighbours(at / "vae", drawn=12, device=on),
    "invert": lambda at, on: ptheta.invert(
        at / "vae", steps=2, drawn=20, n=2, measured=4, device=on
    ),
    "arithmetic": lambda at, on: ptheta.arithmetic(
        at / "vae", plus="label=1", minus="label=0", n=2, device=on
    ),
    "chain": lambda at, on: ptheta.chain(at / "dae", steps=4, chains=2, every=2, device=on),
    "cluster": lambda at, on: ptheta.cluster(at / "vae", n=9, clusters=2, device=on),
    "density": lambda at, on: ptheta.density(at / "vae", samples=2, device=on),
    "ratio": lambda at, on: ptheta.ratio(at / "dcgan", floors=False, device=on),
    "tradeoff": lambda at, on: ptheta.tradeoff(
        at / "dcgan", values=[0.5], n=20, extractor="pixels", device=on
    ),
    "closest": lambda at, on: ptheta.closest(at / "vae", n=4, pairs=2, device=on),
}


def numbers(found: Any) -> Any:
    """What a verb has found, as lists of numbers."""
    if isinstance(found, Grid):
        return found.x.double().tolist()
    if isinstance(found, Seen):
        return found.context.gradient.tolist()
    if isinstance(found, Tensor):
        return found.tolist()
    if isinstance(found, nn.Module):
        return [x.tolist() for x in found.state_dict().values()]
    return found


if __name__ == "__main__":
    import sys, tempfile, traceback, time
    warnings.simplefilter("ignore")
    tmp = Path(tempfile.mkdtemp())
    rng = np.random.default_rng(0)
    images = rng.integers(0, 20, (240, 16, 16), dtype=np.uint8)
    labels = np.arange(240) % 2
    for image, label in zip(images, labels, strict=True):
        a = rng.integers(2, 12)
        bar = slice(a, a + 3)
        image[(slice(2, 14), bar) if label else (bar, slice(2, 14))] = rng.integers(180, 256)
    np.savez(tmp / "strokes.npz", images=images, labels=labels)
    np.savez(tmp / "few.npz", images=images[:6], labels=labels[:6])
    t=time.time()
    at = trained(tmp / "strokes.npz", tmp / "runs")
    print("trained", time.time()-t)
    for name, row in ROWS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]: continue
        for on in ("cpu", NAME):
            t=time.time()
            try:
                if on == "cpu": found = row(at, on)
                else:
                    with fake_gpu(): found = row(at, on)
                print(name, on, type(found), round(time.time()-t,2), flush=True)
            except Exception as e:
                print("FAIL", name, on, repr(e)[:300], flush=True)
                tb=traceback.extract_tb(e.__traceback__)
                for f in [f for f in tb if "src/ptheta" in f.filename]: print("    ", f.filename.split("/wt/device/")[-1], f.lineno, f.line)
                if on=="cpu": break
