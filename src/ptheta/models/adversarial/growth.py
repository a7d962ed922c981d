"""When the networks of a GAN grow: by the share of the run that is done."""

from __future__ import annotations


def position(share: float, stages: int, growth: float, fade: float) -> float:
    """The stage of growing networks, as counted by `ptheta.nets.adversarial.growing.Growing`.

    The first share `growth` of the run is divided equally among all sizes but the last. In the last
    `fade` of its part, the layers of the next size fade in with a linearly increasing weight
    (Karras et al. 2018, section 2, arXiv:1710.10196).
    """
    last = stages - 1
    if share >= growth:
        return float(last)
    done = last * share / growth
    stage = int(done)
    return stage + (max(0.0, done - stage - (1 - fade)) / fade if fade else 0.0)
