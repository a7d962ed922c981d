"""Common recipes of text-to-image models."""

from __future__ import annotations

from ptheta.models.recipes import Recipe

QUICK: Recipe = {
    "about": "in 15 minutes on two cores",
    "model": {
        "features": 16,
        "d_features": 48,
        "lr": 1e-3,
        "penalty_every": 4,
        "matching_weight": 1.0,
    },
    "train": {
        "batch_size": 32,
        "minutes": 15.0,
        "schedule": "late_linear",
        "clip": 10.0,  # a rare steep place of the penalty would fill Adam's second moments
        "ema": 0.998,
        "evaluate_every": 0,
    },
}
PAPERS: Recipe = {
    "about": "the papers' networks, norms, loss and wrong captions",
    "model": {
        "text_encoder": "conv",
        "text_width": 128,
        "fusion": "input",
        "latent": 100,
        "features": 64,
        "norm": "batch",
        "d_norm": "batch",
        "loss": "non_saturating",
        "penalty": "none",
    },
    "train": {"batch_size": 64},
}
