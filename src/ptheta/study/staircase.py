"""The staircase of HYPE-time: how long the next image is shown, given the answers so far.

Zhou et al. 2019, HYPE (arXiv:1904.01121): from 500 ms, 10 ms less after a right answer, 30 ms more
after a wrong one, between 100 and 1,000 ms. The exposure drifts to the one at which the share p of
right answers satisfies p * down = (1 - p) * up, which is 75 % (Kaernbach 1991).
"""

from __future__ import annotations

from collections.abc import Iterable

from ptheta.study.plan import Timing


def exposure(timing: Timing, answers: Iterable[bool]) -> int:
    """The exposure of the next image in milliseconds.

    Args:
        timing: The rule.
        answers: Whether each earlier normal trial of the main phase was answered right.
    """
    asked = timing.start_ms
    for right in answers:
        asked += -timing.down_ms if right else timing.up_ms
        asked = min(timing.most_ms, max(timing.least_ms, asked))
    return asked
