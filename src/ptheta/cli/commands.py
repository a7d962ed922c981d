"""The command group with all commands; each module registers its own when imported."""

from __future__ import annotations

from importlib import import_module

from ptheta.cli.common import cli
from ptheta.cli.help import sections

PARTS = (
    *("train", "listing", "packing", "measure"),
    *("images", "contexts", "repairing", "imputing", "outliers", "usefulness"),
    *(
        "coding",
        "scattering",
        "latent",
        "layers",
        "walking",
        "neighbours",
        "inverting",
        "changing",
        "chains",
    ),
    *("classify", "cluster", "compressing", "density", "ratio", "tradeoff"),
    *("study", "study_report", "tracking", "pushing", "launching", "learning"),
)

for section in sections():
    cli.add_panel(section)
for part in PARTS:
    import_module(f"ptheta.cli.{part}")

__all__ = ["PARTS", "cli"]
