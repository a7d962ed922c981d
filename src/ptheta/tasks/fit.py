"""A prior for latent codes, fitted after training: needs `Encodes` and `Decodes`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.compute.streams import undisturbed
from ptheta.errors import PthetaError
from ptheta.models.autoencoders.fitted import Fitted, as_coder
from ptheta.tasks.needs import Autoencodes, require


@undisturbed()
def fit(model: nn.Module, codes: Tensor, *, components: int = 10, seed: int = 0) -> Fitted:
    """The model with a mixture of `components` Gaussians (full covariances) fitted to its codes by
    expectation maximisation (scikit-learn).

    codes: (N, L), codes of training images
    Raises PthetaError if the model cannot encode and decode, and for fewer than two codes per
    component.
    """
    from sklearn.mixture import GaussianMixture

    require(model, Autoencodes, "learn a prior over its codes")
    coder = as_coder(model)
    if components < 1 or len(codes) < 2 * components:
        raise PthetaError(
            f"{components} components for {len(codes)} codes: "
            f"give 1 to {len(codes) // 2} (--components)"
        )
    scale = float(codes.var(0).mean())
    mixture = GaussianMixture(components, reg_covar=1e-6 + 1e-4 * scale, random_state=seed % 2**32)
    mixture.fit(codes.double().numpy())
    covariances = torch.from_numpy(mixture.covariances_)
    return Fitted(
        coder,
        torch.from_numpy(mixture.weights_),
        torch.from_numpy(mixture.means_),
        torch.linalg.cholesky(covariances),
    )
