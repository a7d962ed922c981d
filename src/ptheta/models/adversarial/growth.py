"""When the networks of a GAN grow: by the share of the run that is done."""

from __future__ import annotations


def position(share: float, stages: int, growth: float, fade: float) -> float:
    """Where networks of so many sizes stand, as `ptheta.nets.adversarial.growing.Growing` counts.

    Of the first `growth` of the run each size but the last has an equal part. It is learned alone,
    and in the last `fade` of its part the layers of the next one fade in, with a weight that rises
    evenly from 0 to 1 (Karras et al. 2018, section 2, arXiv:1710.10196).
    """
    last = stages - 1
    if share >= growth:
        return float(last)
    done = last * share / growth
    stage = int(done)
    return stage + (max(0.0, done - stage - (1 - fade)) / fade if fade else 0.0)
