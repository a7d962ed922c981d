"""Vision transformers as extractors, by `transformers` with local weights."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from torch import Tensor, nn

from ptheta.errors import PthetaError
from ptheta.extractors.pretrained import in_parts, sha256, three_channels
from ptheta.files.paths import expand

LOCAL = {"local_files_only": True, "use_safetensors": True}  # how a network is loaded


def _library(extractor: str) -> ModuleType:
    """The module `transformers`. Raises PthetaError if it is not installed."""
    try:
        import transformers
    except ImportError:
        raise PthetaError(
            f"{extractor} needs the extra: pip install 'ptheta[transformers]'"
        ) from None
    return transformers


def _folder(name: str, variable: str) -> tuple[str, str]:
    """The folder of a network, and the hash of its weights.

    The folder is given by the environment variable, else it is in the hub's cache. Nothing is
    downloaded, and only safetensors are read. Raises PthetaError if the files are missing.
    """
    where = os.environ.get(variable) or _cached(name)
    where = where and str(expand(where))
    if not where or not (Path(where) / "config.json").is_file():
        raise PthetaError(
            f"{name} is not on this machine{f' at {where}' if where else ''}: "
            f"`hf download {name}`, or set {variable} to a folder with its config.json and "
            "model.safetensors"
        )
    weights = Path(where) / "model.safetensors"
    if not weights.is_file():
        raise PthetaError(f"{where} holds no model.safetensors: other weight files are not read")
    return where, sha256(weights)[:12]


def _cached(name: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return str(Path(found).parent) if isinstance(found, str) else None


class _Vision:
    """A vision transformer on the whole image, resized to a square: bicubic, antialiased,
    normalised."""

    classes = 0
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def __init__(self, network: nn.Module, digest: str, side: int) -> None:
        self.network, self.digest, self.side = network.eval(), digest, side
        self.reads = f"{side}x{side} colour, bicubic, antialiased"

    def _read(self, x: Tensor) -> Tensor:
        u = three_channels(x, self.side, "bicubic").clamp(0, 255) / 255
        mean: Tensor
        deviation: Tensor
        mean, deviation = u.new_tensor([self.mean, self.deviation])[:, :, None, None]
        return (u - mean) / deviation


class Dinov2(_Vision):
    """`dinov2`: the class token of a self-supervised transformer (Oquab et al. 2023,
    arXiv:2304.07193), which agrees better with human judgement than Inception (Stein et al. 2023,
    arXiv:2306.04675). The large network from the hub, or the one in PTHETA_DINOV2."""

    name = "dinov2"
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self) -> None:
        transformers = _library(self.name)
        where, digest = _folder("facebook/dinov2-large", "PTHETA_DINOV2")
        super().__init__(transformers.Dinov2Model.from_pretrained(where, **LOCAL), digest, 224)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        network = self.network.to(x.device)
        return in_parts(lambda part: (network(self._read(part)).pooler_output, None), x)


class Clip(_Vision):
    """`clip`: image embeddings trained with text (Radford et al. 2021,
    arXiv:2103.00020). The network of arXiv:2401.09603, or the one in PTHETA_CLIP."""

    name = "clip"
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

    def __init__(self) -> None:
        transformers = _library(self.name)
        where, digest = _folder("openai/clip-vit-large-patch14-336", "PTHETA_CLIP")
        network = transformers.CLIPVisionModelWithProjection.from_pretrained(where, **LOCAL)
        super().__init__(network, digest, network.config.image_size)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        network = self.network.to(x.device)
        return in_parts(lambda part: (network(self._read(part)).image_embeds, None), x)
