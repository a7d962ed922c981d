"""Resident memory and start-up when training from a folder of 50,000 images of 64x64.

    python benchmarks/memory.py [--images 50000] [--out benchmarks/results/memory.json]

Writes the pictures and the cache into a temporary folder (about 1.5 GB), then trains twice, each
time in a process of its own: the first decodes, the second finds the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def draw(folder: Path, n: int) -> None:
    """n JPEG pictures of 64x64 in ten subfolders."""
    rng = np.random.default_rng(0)
    for i in range(n):
        place = folder / f"class{i % 10}"
        place.mkdir(parents=True, exist_ok=True)
        low = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(low).resize((64, 64)).save(place / f"{i:06d}.jpg", quality=80)


def train(folder: str, out: str) -> None:
    """The process that is measured: opens the data, reads every image, trains some steps."""
    start = time.perf_counter()
    import ptheta
    from ptheta.data import open_data

    imported = time.perf_counter()
    data = open_data(folder)
    opened = time.perf_counter()
    after_open = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for at in range(0, len(data), 500):
        data.batch(slice(at, min(at + 500, len(data))))
    ptheta.train(
        *("vae", folder, out),
        net="conv",
        features=16,
        steps=60,
        batch_size=64,
        evaluate_every=0,
        sample_every=0,
        checkpoint_every=0,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "images": len(data),
                "import_s": round(imported - start, 2),
                "open_s": round(opened - imported, 2),
                "rss_after_open_mib": round(after_open),
                "peak_rss_mib": round(peak),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/memory.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        draw(folder, options.images)
        results = {}
        for name in ("first start", "second start"):
            done = subprocess.run(
                [sys.executable, __file__, "--worker", str(folder), f"{place}/{name[:5]}"],
                env={**os.environ, "PTHETA_CACHE": f"{place}/cache"},
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            results[name] = json.loads(done.stdout.splitlines()[-1])
            print(name, results[name])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        train(*sys.argv[2:])
    else:
        main()
