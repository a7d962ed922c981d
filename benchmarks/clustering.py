"""Clusters of held-out examples, by runs: how well they fit the labels, beside the floors.

    python -m benchmarks.clustering runs/infogan runs/vae runs/vae:mixture

Seed 0. Writes into benchmarks/results/clustering.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import ptheta

RESULTS = Path(__file__).parent / "results" / "clustering.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="folders, with :METHOD where one is meant")
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for asked in parser.parse_args().runs:
        run, _, by = asked.partition(":")
        done = ptheta.cluster(run, by=by or "auto", seed=0)
        told = done.to_json()
        print(asked, done)
        found[f"{Path(run).name} {by}".strip()] = {
            "examples": told["examples"],
            "how": told["how"],
            "seed": 0,
            "measured": told["measured"],
        }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
