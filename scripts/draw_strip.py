"""Draw the strip of README.md: a few uncurated samples of a model of each family.

    python -m scripts.draw_strip [--out docs/images/strip.png]

Samples are cut from the figures of docs/, which are drawn from trained runs by the scripts and
commands on their pages; for a chain, the last states are used. The family-*.png are samples of
runs of eight minutes on one processor by the recipes of benchmarks/families.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from matplotlib import pyplot as plt
from PIL import Image

IMAGES = Path(__file__).parents[1] / "docs" / "images"


class Cut(NamedTuple):
    """A part of a figure. title: caption; left, top, side: position and size in pixels"""

    title: str
    file: str
    left: int
    top: int
    side: int


SMALL, LARGE = 4 * 29 - 1, 4 * 58 - 2  # four images, in original and double size
CUTS = (
    Cut("fit: mixture of Bernoullis", "mixture-samples", 0, 0, LARGE),
    Cut("autoencoder: AE and a fit", "family-ae", 0, 0, SMALL),
    Cut("variational: VAE", "family-vae", 0, 0, SMALL),
    Cut("adversarial: GAN", "family-gan", 0, 0, SMALL),
    Cut("hybrid: adversarial AE", "family-aae", 0, 0, SMALL),
    Cut("autoregressive: PixelCNN", "family-pixelcnn", 0, 0, SMALL),
    Cut("flow: Glow", "flows-glow-mnist", 0, 0, LARGE),
    Cut("energy: RBM, a chain a row", "energy-rbm-chain", 16 * 58, 0, LARGE),
    Cut("matching: GMMN", "gmmn-samples", 0, 0, LARGE),
    Cut("translation: day to night", "translation-night", 0, 66, 262),
    Cut("text: a caption a row", "text-gan-held-out", 247, 0, 262),
    Cut("real digits", "family-real", 0, 0, SMALL),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=IMAGES / "strip.png")
    options = parser.parse_args()
    figure, axes = plt.subplots(2, len(CUTS) // 2, figsize=(12, 4.5), layout="constrained")
    for axis, (title, file, left, top, side) in zip(axes.flat, CUTS, strict=True):
        with Image.open(IMAGES / f"{file}.png") as picture:
            box = (left, top, left + side, top + side)
            axis.imshow(picture.convert("RGB").crop(box), interpolation="nearest")
        axis.set_title(title, fontsize=8)
        axis.axis("off")
    figure.savefig(options.out, dpi=100)


if __name__ == "__main__":
    main()
