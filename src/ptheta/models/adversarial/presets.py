"""The published GANs, as other defaults of the one config of `gan.py`, and their recipes."""

from __future__ import annotations

from typing import NamedTuple


class Preset(NamedTuple):
    """config: defaults that differ; recipes: settings of whole runs, as RECIPES of any model"""

    config: dict[str, object]
    recipes: dict[str, dict[str, object]]


def _recipe(
    about: str, *, batch_size: int = 64, epochs: float = 25.0, **model: object
) -> dict[str, object]:
    train = {"batch_size": batch_size, "epochs": epochs, "ema": 0.999}
    return {"about": about, "model": model, "train": train}


# networks for a few minutes on one core: most of the weights are in a dense layer, which is quick
SMALL = {"latent": 64, "features": 16, "dense": 512}

# of vectors: noise that falls makes both distributions overlap until the generator is everywhere
DEEP = (128, 128, 128)
POINTS = {
    "net": "mlp",
    "g_hidden": DEEP,
    "d_hidden": DEEP,
    "g_norm": "none",
    "latent": 8,
    "minibatch": "stddev",
    "lr": 1e-3,
    "instance_noise": 0.3,
    "instance_noise_steps": 6000,
}
WIDE = (128, 128)
TABLE = {
    "net": "mlp",
    "g_hidden": WIDE,
    "d_hidden": WIDE,
    "g_norm": "none",
    "latent": 16,
    "minibatch": "stddev",
    "lr": 1e-3,
}

PRESETS: dict[str, Preset] = {
    "gan": Preset(
        {},
        {
            "default": _recipe("non-saturating loss, convolutional networks"),
            "goodfellow-2014": _recipe(
                "fully connected networks (arXiv:1406.2661)", net="mlp", g_norm="none"
            ),
            "five-minutes": {
                "about": "digits in five minutes on one core",
                "model": {**SMALL, "lr": 1e-3, "d_lr": 2e-4},
                "train": {"batch_size": 64, "minutes": 5.0, "ema": 0.998},
                "data": {"levels": 4},
            },
            "points": {
                "about": "points with many modes, such as points-grid25, in a minute on one core",
                "model": POINTS,
                "train": {
                    "batch_size": 128,
                    "steps": 8000,
                    "schedule": "cosine",
                    "ema": 0.998,
                    "evaluate_every": 0,
                },
            },
            "table": {
                "about": "tables of numbers and categories",
                "model": TABLE,
                "train": {"batch_size": 256, "steps": 2000, "schedule": "cosine", "ema": 0.99},
            },
        },
    ),
    "dcgan": Preset(
        {},
        {
            "default": _recipe(
                "Radford et al. 2016: Adam 2e-4, beta1 0.5, batches of 128, N(0, 0.02) weights",
                batch_size=128,
            ),
            "demo": {
                "about": "digits in under two minutes on two cores",
                "model": {**SMALL, "lr": 1e-3, "d_lr": 2e-4},
                "train": {"batch_size": 64, "minutes": 1.7, "ema": 0.995},
                "data": {"levels": 4},
            },
        },
    ),
    "lsgan": Preset(
        {"loss": "least_squares"}, {"default": _recipe("Mao et al. 2017: labels 0 and 1")}
    ),
    "wgan": Preset(
        {
            "loss": "wasserstein",
            "weight_clip": 0.01,
            "critic_steps": 5,
            "optimizer": "rmsprop",
            "lr": 5e-5,
        },
        {
            "default": _recipe(
                "Arjovsky et al. 2017: weights clipped to 0.01, 5 critic steps, RMSprop 5e-5"
            )
        },
    ),
    "wgan-gp": Preset(
        {
            "loss": "wasserstein",
            "penalty": ("gp",),
            "critic_steps": 5,
            "lr": 1e-4,
            "beta1": 0.0,
            "beta2": 0.9,
        },
        {
            "default": _recipe("Gulrajani et al. 2017: penalty 10, 5 critic steps, Adam 1e-4"),
            "five-minutes": {
                "about": "digits in five minutes on one core",
                "model": {**SMALL, "lr": 5e-4, "beta1": 0.5, "critic_steps": 2},
                "train": {"batch_size": 64, "minutes": 5.0, "ema": 0.998},
                "data": {"levels": 4},
            },
        },
    ),
    "dragan": Preset(
        {"penalty": ("dragan",)}, {"default": _recipe("Kodali et al. 2017: penalty 10 near data")}
    ),
    "began": Preset(
        {"loss": "began", "lr": 1e-4, "latent": 64},
        {"default": _recipe("Berthelot et al. 2017: gamma 0.5, Adam 1e-4", batch_size=16)},
    ),
    "sngan": Preset(
        {
            "net": "resnet",
            "loss": "hinge",
            "spectral_norm": True,
            "critic_steps": 5,
            "beta1": 0.0,
            "beta2": 0.9,
        },
        {"default": _recipe("Miyato et al. 2018: residual networks, hinge loss, Adam 2e-4")},
    ),
    "r3gan": Preset(
        {
            "loss": "relativistic",
            "penalty": ("r1", "r2"),
            "penalty_weight": 1.0,
            "beta1": 0.0,
            "beta2": 0.99,
        },
        {"default": _recipe("Huang et al. 2024: R1 and R2, no first moment; DCGAN's networks")},
    ),
    "cgan": Preset(
        {"conditioning": "label"},
        {"default": _recipe("Mirza & Osindero 2014, with DCGAN's networks")},
    ),
    "acgan": Preset(
        {"conditioning": "auxiliary"},
        {"default": _recipe("Odena et al. 2017, with DCGAN's networks")},
    ),
    "projection-gan": Preset(
        {
            "conditioning": "projection",
            "net": "resnet",
            "loss": "hinge",
            "spectral_norm": True,
            "critic_steps": 5,
            "beta1": 0.0,
            "beta2": 0.9,
        },
        {"default": _recipe("Miyato & Koyama 2018: the sngan preset with projected labels")},
    ),
    "progressive-gan": Preset(
        {
            "net": "growing",
            "stages": 0,
            "g_norm": "pixel",
            "equalised": True,
            "minibatch": "stddev",
            "prior": "sphere",
            "loss": "wasserstein",
            "penalty": ("gp", "drift"),
            "lr": 1e-3,
            "beta1": 0.0,
            "beta2": 0.99,
        },
        {
            "default": {
                "about": "64 pixels in a quarter of an hour on two cores",
                "model": {
                    "features": 8,
                    "most_features": 64,
                    "latent": 64,
                    "loss": "non_saturating",
                    "penalty": ("r1",),
                    "penalty_weight": 5.0,
                    "lr": 4e-3,
                },
                "train": {"batch_size": 16, "minutes": 17.0, "ema": 0.99},
            },
            "paper": {
                "about": "Karras et al. 2018: penalty 10, drift 0.001, Adam 1e-3, 512 channels",
                "model": {"features": 256, "latent": 512},
                "train": {"batch_size": 16, "steps": 250_000, "ema": 0.999},
            },
        },
    ),
}
