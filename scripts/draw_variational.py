"""Draw the figures of docs/variational.md from a folder of runs.

    python scripts/draw_variational.py RUNS [--out docs/images]

RUNS contains the runs listed under Figures in docs/variational.md, by these names.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from ptheta import api, tasks
from ptheta.capabilities import conditional, some_conditions
from ptheta.compute.streams import seeded
from ptheta.files.images import grid, write_png
from ptheta.metrics.latent import codes, latent_report
from ptheta.report import figures
from ptheta.runs.folder import Run


def rows(*parts: Tensor) -> Tensor:
    """Arrange batches of n images as rows of a grid."""
    return torch.cat(parts)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    out: Path = options.out
    run = {path.name: Run.open(path) for path in options.runs.iterdir() if path.is_dir()}
    test = run["ae"].data("test").batch(slice(0, 40)).x

    for name in ("ae", "vae"):
        model = run[name].model(prior="own")
        back = tasks.reconstruct(model, test[:10])
        write_png(out / f"{name}-reconstructions.png", grid(rows(test[:10], back), 10), 2)
        walk = tasks.interpolate(model, 4, 10, ends=(test[:4], test[4:8]), straight=True)
        write_png(out / f"{name}-interpolation.png", grid(walk, 10), 2)

    # decoded samples of N(0, I), where a VAE is trained to have images
    with seeded(0):
        z = torch.randn(40, 8)
    ae, vae = run["ae"].model(prior="own"), run["vae"].model()
    api.fit(run["ae"].path)
    spread = codes(ae, run["ae"].data("test"), 1000).std()  # scaled to the spread of the AE's codes
    write_png(out / "ae-from-normal.png", grid(ae.decode(z * spread), 10), 2)  # type: ignore[operator]
    write_png(out / "vae-from-normal.png", grid(vae.decode(z), 10), 2)  # type: ignore[operator]
    fitted = run["ae"].model()
    write_png(out / "ae-fitted-samples.png", grid(tasks.sample(fitted, 40, seed=0), 10), 2)

    write_png(out / "vae-manifold.png", grid(tasks.manifold(run["vae2"].model(), 18), 18), 1)

    x = run["vae-gan"].data("test").batch(slice(0, 10)).x
    blurred = tasks.reconstruct(run["vae-fashion"].model(), x)
    sharp = tasks.reconstruct(run["vae-gan"].model(), x)
    write_png(out / "vae-gan-reconstructions.png", grid(rows(x, blurred, sharp), 10), 2)
    model = run["vae-fashion"].model()
    with seeded(0):
        means = model.decode(model.sample_latent(20))  # type: ignore[operator]
    drawn = tasks.sample(run["vae-gan"].model(), 20, seed=0)
    write_png(out / "vae-gan-samples.png", grid(rows(means, drawn), 10), 2)

    for name in ("alpha-gan", "aae"):
        x = tasks.sample(run[name].model(), 40, seed=0)
        write_png(out / f"{name}-samples.png", grid(x, 10), 2)

    damaged, repaired = tasks.denoise(run["dae"].model(prior="own"), test[:10], "gaussian", 0.5)
    write_png(out / "dae-denoised.png", grid(rows(test[:10], damaged, repaired), 10), 2)

    for name in ("cvae", "vamp"):
        model = run[name].model()
        y = some_conditions(model, 40)
        with seeded(0):
            z = model.sample_latent(4, None if y is None else y[:4])  # type: ignore[operator]
            if conditional(model):  # one code in each row, a label in each column
                z = z.repeat_interleave(10, 0)
            else:
                z = model.sample_latent(40)  # type: ignore[operator]
        write_png(out / f"{name}-means.png", grid(model.decode(z, y), 10), 2)  # type: ignore[operator]

    report = latent_report(run["vae"].model(), run["vae"].data("test"))
    figures.latents(report, out / "vae-latents.png")
    used = report.order()[:4]
    z = run["vae"].model().encode(test[:1])[0]  # type: ignore[operator]
    write_png(
        out / "vae-traversal.png",
        grid(tasks.traverse(run["vae"].model(), z, used, steps=10), 10),
        2,
    )


if __name__ == "__main__":
    main()
