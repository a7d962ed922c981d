"""Normalising flows over codes, from zuko (pip install 'ptheta[flows]')."""

from __future__ import annotations

from importlib.util import find_spec

from torch import nn

from ptheta.errors import PthetaError


def missing() -> str | None:
    """The missing dependency of flow priors, as one sentence, or None."""
    if find_spec("zuko") is not None:
        return None
    return "a flow prior needs the extra: pip install 'ptheta[flows]'"


def masked_flow(latent: int, transforms: int, hidden: int) -> nn.Module:
    """A masked autoregressive flow (Papamakarios et al. 2017, arXiv:1705.07057) over (B, latent),
    as a module that returns its distribution. Raises PthetaError where zuko is not installed.
    """
    cure = missing()
    if cure is not None:
        raise PthetaError(cure)
    from zuko.flows import MAF  # an extra

    flow: nn.Module = MAF(latent, transforms=transforms, hidden_features=(hidden, hidden))
    return flow
