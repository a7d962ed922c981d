"""Limits of numeric arguments, the same in Python and on the command line."""

from __future__ import annotations

from numbers import Integral

from ptheta.config import LAST_SEED, MOST, MOST_PARTS, MOST_SIDE, brief
from ptheta.errors import PthetaError

# minimum and maximum by option name
LIMITS: dict[str, tuple[int, int]] = {
    "-n": (1, MOST),
    "--measured": (1, MOST),
    "--styles": (1, MOST_PARTS),
    "-m": (1, MOST_PARTS),
    "-k": (1, MOST_PARTS),
    "--repeats": (1, MOST_PARTS),
    "--each": (1, MOST_PARTS),
    "--near": (1, MOST_PARTS),
    "--candidates": (1, MOST_PARTS),
    "--between": (2, MOST_PARTS),
    "--size": (1, MOST_SIDE),
    "--steps": (2, MOST),  # for `chain`
    "--chains": (1, MOST_PARTS),
    "--every": (1, MOST),
    "--burn": (0, MOST),
    "--clusters": (1, MOST_PARTS),
    "--restarts": (1, MOST_PARTS),
    "--batch": (1, MOST_PARTS),  # for `compress`
    "--samples": (1, MOST),  # for importance-weighted bounds
    "--held-out": (2, MOST),
    "--starts": (1, MOST_PARTS),
    "--ellipses": (0, MOST),
    "--drawn": (10, MOST),  # for `neighbours`
    "--shifts": (0, 16),  # pixels: (2 n + 1)^2 places
    "--seed": (0, LAST_SEED),
}


def check_numbers(**given: int | None) -> None:
    """Checks n, styles, ...; None if not given. Raises PthetaError for a value out of range."""
    for name, value in given.items():
        flag = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
        least, most = LIMITS[flag]
        if value is None:
            continue
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise PthetaError(f"{flag} {brief(value)}: want an integer")
        if not least <= value <= most:
            wanted = f"{least} or more" if value < least else f"{most} or less"
            raise PthetaError(f"{flag} {brief(value)}: want {wanted}")
