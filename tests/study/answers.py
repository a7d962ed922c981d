"""Answers for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptheta.study.analysis.table import Table, table_of
from ptheta.study.files import Answer

TIME = "2025-03-14T09:26:53Z"


def hype(person: int, image: int, wrong: bool, **more) -> Answer:
    """An answer about a generated image."""
    values: dict[str, Any] = {
        "study": "test",
        "protocol": "hype-infinity",
        "participant": f"p{person}",
        "session": "1",
        "trial": 0,
        "phase": "main",
        "kind": "normal",
        "item": f"i{image}",
        "item_b": "",
        "source": "gan",
        "source_b": "",
        "truth": "fake",
        "answer": "real" if wrong else "fake",
        "correct": not wrong,
        "asked_ms": None,
        "shown_ms": None,
        "response_ms": 1000.0,
        "answered_at": TIME,
    }
    return Answer(**(values | more))


def pair(person: int, a: str, b: str, left: bool, images=(0, 0), **more) -> Answer:
    """An answer about images of the sources a (left) and b. left: whether a was preferred"""
    return hype(
        person,
        images[0],
        False,
        **{
            "protocol": "pairs",
            "source": a,
            "source_b": b,
            "item_b": f"i{images[1]}",
            "truth": "",
            "correct": None,
            "answer": "left" if left else "right",
            **more,
        },
    )


def crossed(wrong: np.ndarray) -> Table:
    """The answers of P people on the same I generated images, (P, I)."""
    return table_of([hype(p, i, bool(w)) for (p, i), w in np.ndenumerate(wrong)])
