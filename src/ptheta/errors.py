"""Errors a user can act on: one line with the value, the reason and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PthetaError(Exception):
    """Bad input. The message is one line: what was given, why not, what to do.

    The command line prints it without a traceback and exits with status 2.
    """


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The entry of `known` that looks most like `word`, or None where nothing does."""
    by_lower = {name.lower(): name for name in known}
    match = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[match[0]] if match else None


def unknown(kind: str, given: object, known: Iterable[str]) -> PthetaError:
    """The error for a name that does not exist, naming the nearest one that does."""
    names = list(known)
    near = nearest(str(given), names)
    cure = f"did you mean {near!r}?" if near else f"known: {', '.join(names)}"
    return PthetaError(f"unknown {kind} {str(given)!r}: {cure}")
