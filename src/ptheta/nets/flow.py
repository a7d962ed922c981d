"""Normalising flows over codes, from zuko (pip install 'ptheta[flows]')."""

from __future__ import annotations

from torch import nn

from ptheta.errors import PthetaError


def masked_flow(latent: int, transforms: int, hidden: int) -> nn.Module:
    """A masked autoregressive flow (Papamakarios et al. 2017, arXiv:1705.07057) over (B, latent),
    as a module that returns its distribution. Raises PthetaError where zuko is not installed.
    """
    try:
        from zuko.flows import MAF
    except ImportError:
        raise PthetaError("a flow prior needs the extra: pip install 'ptheta[flows]'") from None
    flow: nn.Module = MAF(latent, transforms=transforms, hidden_features=(hidden, hidden))
    return flow
