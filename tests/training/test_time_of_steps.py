"""What a dry run says of the time of a step."""

from __future__ import annotations

import pytest

from ptheta.api.rehearsing import DryRun


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0123, "12.3 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (12.34, "12.3 s")],
)
def test_steps_of_a_second_or_more_are_told_in_seconds(seconds, said):
    found = DryRun(
        *("vae", "default", "pets", 9, 0, "3x8x8", None, 5, "cpu"), seconds, steps=3, minutes=1
    )
    assert f"3 steps of {said}: about 60 seconds" in str(found)
