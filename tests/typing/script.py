"""A user's script over the public interface. It runs, and `mypy --strict` has nothing to say of it.

Usage: python script.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import assert_type

from torch import Tensor, nn

import ptheta
from ptheta.capabilities import HasBound


def main(out: Path) -> None:
    data = ptheta.open_data("digits", levels=2)
    assert_type(data, ptheta.Dataset)
    model = ptheta.create("vae", data.spec, hidden=(8,), latent=2)
    assert_type(model, nn.Module)
    run = ptheta.train("vae", "digits", out / "vae", steps=2, levels=2, hidden=(8,), latent=2)
    assert_type(run, ptheta.Run)
    trained = ptheta.load(run.path)
    x = data.batch(range(4)).x
    assert_type(x, Tensor)
    assert_type(data.subset(data.labels == 3), ptheta.Dataset)
    if isinstance(trained, HasBound):
        assert_type(trained.elbo(x), Tensor)
    grid = ptheta.sample(run, 4, seed=1, out=out / "samples.png")
    assert_type(grid.x, Tensor)
    assert_type(grid.path, Path | None)
    evaluation = ptheta.evaluate(run, n=16, extractor="digits", is_k=2)
    for result in evaluation.results:
        print(f"{result.metric}: {'not defined' if result.value is None else f'{result.value:g}'}")
    near, real = ptheta.closest(run, n=16, pairs=2)
    assert_type((near, real), tuple[Tensor, Tensor])
    ptheta.reconstruct(run, n=2, out=out / "pairs.png")
    found = ptheta.denoise(run, ["gaussian", "masking"], 0.3, n=2, measured=16)
    assert_type(found, ptheta.api.Grid)
    if isinstance(found, ptheta.api.Compared):
        assert_type(found.to_json(), dict[str, object])
    assert_type(ptheta.tasks.reconstruct(trained, x), Tensor)
    page = ptheta.compare([run], out / "report", n=16)
    assert_type(page, Path)
    useful = ptheta.usefulness(run, n=16, repeats=1, out=out / "useful.csv")
    assert_type(useful.rows(), list[dict[str, object]])
    try:
        ptheta.load(out / "nothing")
    except ptheta.PthetaError as error:
        print(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
