"""Lossless compression by runs, beside other formats: there and back, held-out images.

    python -m benchmarks.compression runs/pixelcnn runs/nade [--data digits] [--n 1000]

Seed 0. Writes bytes and bits/dim of each run into benchmarks/results/compression.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

import ptheta
from ptheta.api.example_sets import some_of

RESULTS = Path(__file__).parent / "results" / "compression.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--n", type=int, default=1000)
    asked = parser.parse_args()
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for run in asked.runs:
        found[Path(run).name] = measured(run, asked.data, asked.n)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measured(run: str, data: str, n: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        done = ptheta.compress(run, data, Path(folder) / "x.ptc", split="test", n=n, seed=0)
        there = time.process_time()
        back = ptheta.decompress(run, done.path).x
        seconds = there - start, time.process_time() - there
    source = some_of(ptheta.Run.open(run).other(data, "test"), n, 0)
    assert torch.equal(back, source.with_fixed_binarisation().batch(slice(None)).x)
    print(run, done)
    return {
        "data": data,
        "images": done.images,
        "seed": 0,
        "bytes": done.bytes,
        "bits_per_dim": done.bits_per_dim,
        "process_seconds": [round(one, 1) for one in seconds],
    }


if __name__ == "__main__":
    main()
