"""Speed of the importance-sampled likelihood beside pythae's `get_nll`, on the same weights.

    python benchmarks/importance.py [--rounds 5] [--images 20] [--out FILE.json]

An MLP VAE 784-500-500-40 with a Bernoulli decoder, fresh weights, 500 samples for each image. The
contenders take turns; medians. The floor is the decoder's products alone, in a loop of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch

import ptheta
from ptheta.models.variational.vae import VAE
from ptheta.specs import ImageSpec

K = 500


def peer(model: VAE) -> Any:
    """pythae's VAE around the very same encoder and decoder; None where it is not installed."""
    try:
        from pythae.models import VAE as Theirs
        from pythae.models import VAEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
    except ImportError:
        return None

    class Encoder(BaseEncoder):  # type: ignore[misc]  # pythae has no types
        def __init__(self) -> None:
            super().__init__()
            self.net = model.encoder

        def forward(self, x: torch.Tensor) -> Any:
            mean, log_var = self.net(2 * x - 1).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = model.decoder

        def forward(self, z: torch.Tensor) -> Any:
            return ModelOutput(reconstruction=self.net(z).sigmoid())

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=40, reconstruction_loss="bce")
    return Theirs(config, encoder=Encoder(), decoder=Decoder()).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/importance.json"))
    options = parser.parse_args()
    torch.manual_seed(0)
    model = ptheta.create("vae", ImageSpec(1, 28, 28, 2)).eval()
    assert isinstance(model, VAE)
    n = options.images
    x = (torch.rand(n, 1, 28, 28) < 0.13).byte() * 255
    theirs = peer(model)
    shapes = [
        layer.weight for layer in model.decoder.modules() if isinstance(layer, torch.nn.Linear)
    ]
    flop = 2 * K * sum(w.numel() for w in shapes)

    def ours() -> float:
        return -model.importance_bound(x, K).mean().item()

    def floor() -> float:
        h = torch.randn(K * 10, 40)
        for _ in range(n // 10):
            t = h
            for w in shapes:
                t = t @ w.t()
        return 0.0

    def get_nll(batch: int) -> float:  # which returns the mean of log p
        return -float(theirs.get_nll((x / 255).float(), n_samples=K, batch_size=batch))

    contenders = {"ptheta": ours, "decoder's products alone": floor}
    if theirs is not None:
        contenders["pythae get_nll"] = lambda: get_nll(100)  # its default
        contenders["pythae get_nll, batches of 500"] = lambda: get_nll(K)
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    values: dict[str, float] = {}
    with torch.no_grad():
        for _ in range(options.rounds + 1):  # the first is not counted
            for name, run in contenders.items():
                start = time.perf_counter()
                values[name] = run()
                rates[name].append(n / (time.perf_counter() - start))
    medians = {name: statistics.median(r[1:]) for name, r in rates.items()}
    result = {
        "model": "784-500-500-40, Bernoulli",
        "samples": K,
        "images": n,
        "images_per_s": {name: round(rate, 1) for name, rate in medians.items()},
        "nats": {k: round(v, 3) for k, v in values.items() if v},
        "gflop_per_image": round(flop / 1e9, 3),
        "gflop_per_s": round(medians["ptheta"] * flop / 1e9, 1),
        "ratio_to_floor": round(medians["decoder's products alone"] / medians["ptheta"], 2),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    if theirs is not None:
        result["ratios_to_pythae"] = {
            name: round(medians["ptheta"] / rate, 2)
            for name, rate in medians.items()
            if name.startswith("pythae")
        }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
