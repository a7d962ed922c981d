"""The registry: every model by name. Adding a model is one file in `models/` and one line here."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ptheta import plugins
from ptheta.config import variant
from ptheta.errors import unknown

if TYPE_CHECKING:
    from torch import nn

    from ptheta.conditions import ConditionSpec
    from ptheta.specs import DataSpec

PRESETS = "ptheta.models.adversarial.presets"  # of models of which one class is several


class Listed(ABC):
    """A model as the registry has it. family, paper: for lists"""

    paper: str

    @property
    @abstractmethod
    def family(self) -> str: ...

    @abstractmethod
    def load_model(self) -> type[nn.Module]:
        """Its class."""

    @abstractmethod
    def load_config(self) -> type:
        """The dataclass of its options."""

    @abstractmethod
    def recipes(self) -> Mapping[str, Mapping[str, Any]]:
        """name -> {"about": str, "model": options, "train": settings, ...}"""

    @abstractmethod
    def maker(
        self, spec: DataSpec, config: Any, condition: ConditionSpec | None
    ) -> Callable[[], nn.Module]:
        """What makes the model with fresh weights, and raises PthetaError for a spec or condition
        that it cannot take."""

    def build(
        self,
        spec: DataSpec,
        config: Any,
        condition: ConditionSpec | None,
        to_train: bool = False,
    ) -> nn.Module:
        """The model with fresh weights.

        to_train: whether its gradients and moments must fit into memory as well
        Raises PthetaError for a spec or condition that it cannot take, and, before any memory is
        taken, for weights that do not fit into it.
        """
        from ptheta.compute import memory  # torch is imported when a model is made

        times = memory.TRAINED if to_train else memory.USED
        return memory.built(self.maker(spec, config, condition), times)


@dataclass(frozen=True)
class Entry(Listed):
    """Where a model of this package lives; nothing is imported until it is asked for."""

    file: str  # family and module, as "variational.vae"; the module also holds RECIPES
    model: str  # the nn.Module: Model(spec, config)
    config: str  # its frozen dataclass
    paper: str
    preset: str = ""  # of PRESETS: other defaults of the config, and recipes

    @property
    def family(self) -> str:
        """The folder in `models/` that it stands in."""
        return self.file.partition(".")[0]

    @property
    def module(self) -> str:
        """Dotted, from the root of the package."""
        return f"ptheta.models.{self.file}"

    def load_model(self) -> type[nn.Module]:
        found: type[nn.Module] = getattr(import_module(self.module), self.model)
        return found

    def load_config(self) -> type:
        return _config(self)

    def maker(
        self, spec: DataSpec, config: Any, condition: ConditionSpec | None
    ) -> Callable[[], nn.Module]:
        cls: Callable[..., nn.Module] = self.load_model()
        return lambda: cls(spec, config, condition)

    def recipes(self) -> Mapping[str, Mapping[str, Any]]:
        if self.preset:
            found: dict[str, dict[str, Any]] = import_module(PRESETS).PRESETS[self.preset].recipes
        else:
            found = import_module(self.module).RECIPES
        return found


@cache
def _config(entry: Entry) -> type:
    """One class for each preset: two of them would not be equal."""
    cls: type = getattr(import_module(entry.module), entry.config)
    if not entry.preset:
        return cls
    return variant(cls, import_module(PRESETS).PRESETS[entry.preset].config)


def _gan(preset: str, paper: str) -> Entry:
    """A named combination of the parts of one model."""
    return Entry("adversarial.gan", "GAN", "GANConfig", paper, preset)


MODELS: dict[str, Listed] = {
    "gan": _gan("gan", "arXiv:1406.2661"),
    "dcgan": _gan("dcgan", "arXiv:1511.06434"),
    "lsgan": _gan("lsgan", "arXiv:1611.04076"),
    "wgan": _gan("wgan", "arXiv:1701.07875"),
    "wgan-gp": _gan("wgan-gp", "arXiv:1704.00028"),
    "dragan": _gan("dragan", "arXiv:1705.07215"),
    "began": _gan("began", "arXiv:1703.10717"),
    "sngan": _gan("sngan", "arXiv:1802.05957"),
    "r3gan": _gan("r3gan", "arXiv:2501.05441"),
    "cgan": _gan("cgan", "arXiv:1411.1784"),
    "acgan": _gan("acgan", "arXiv:1610.09585"),
    "projection-gan": _gan("projection-gan", "arXiv:1802.05637"),
    "progressive-gan": _gan("progressive-gan", "arXiv:1710.10196"),
    "infogan": Entry("adversarial.infogan", "InfoGAN", "InfoGANConfig", "arXiv:1606.03657"),
    "vae": Entry("variational.vae", "VAE", "VAEConfig", "arXiv:1312.6114"),
    "iwae": Entry("variational.iwae", "IWAE", "IWAEConfig", "arXiv:1509.00519"),
    "cvae": Entry("variational.cvae", "CVAE", "CVAEConfig", "arXiv:1406.5298"),
    "avb": Entry("variational.avb", "AVB", "AVBConfig", "arXiv:1701.04722"),
    "ae": Entry("autoencoders.ae", "AE", "AEConfig", "Hinton 2006"),
    "dae": Entry("autoencoders.dae", "DAE", "DAEConfig", "Vincent 2010"),
    "aae": Entry("hybrid.aae", "AAE", "AAEConfig", "arXiv:1511.05644"),
    "vae-gan": Entry("hybrid.vae_gan", "VAEGAN", "VAEGANConfig", "arXiv:1512.09300"),
    "alpha-gan": Entry("hybrid.alpha_gan", "AlphaGAN", "AlphaGANConfig", "arXiv:1706.04987"),
    "pix2pix": Entry("translation.pix2pix", "Pix2Pix", "Pix2PixConfig", "arXiv:1611.07004"),
    "bicycle-gan": Entry(
        "translation.bicycle_gan", "BicycleGAN", "BicycleGANConfig", "arXiv:1711.11586"
    ),
    "cyclegan": Entry("translation.cyclegan", "CycleGAN", "CycleGANConfig", "arXiv:1703.10593"),
    "context-gan": Entry(
        "translation.context_gan", "ContextGAN", "ContextGANConfig", "arXiv:1803.07422"
    ),
    "gaussian": Entry("mixtures.gaussian", "Gaussian", "GaussianConfig", "Gauss 1809"),
    "fvsbn": Entry("autoregressive.fvsbn", "FVSBN", "FVSBNConfig", "Neal 1992"),
    "nade": Entry("autoregressive.nade", "NADE", "NADEConfig", "arXiv:1605.02226"),
    "made": Entry("autoregressive.made", "MADE", "MADEConfig", "arXiv:1502.03509"),
    "pixelcnn": Entry("autoregressive.pixelcnn", "PixelCNN", "PixelCNNConfig", "arXiv:1601.06759"),
    "multiscale-pixelcnn": Entry(
        "autoregressive.multiscale", "MultiScalePixelCNN", "MultiScaleConfig", "arXiv:1601.06759"
    ),
    "gated-pixelcnn": Entry(
        "autoregressive.gated_pixelcnn", "GatedPixelCNN", "GatedPixelCNNConfig", "arXiv:1606.05328"
    ),
    "pixelcnn++": Entry(
        "autoregressive.pixelcnnpp", "PixelCNNPP", "PixelCNNPPConfig", "arXiv:1701.05517"
    ),
    "row-lstm": Entry("autoregressive.pixelrnn", "RowLSTM", "RowLSTMConfig", "arXiv:1601.06759"),
    "diagonal-bilstm": Entry(
        "autoregressive.pixelrnn", "DiagonalBiLSTM", "PixelRNNConfig", "arXiv:1601.06759"
    ),
    "image-transformer": Entry(
        "autoregressive.transformer",
        "ImageTransformer",
        "ImageTransformerConfig",
        "arXiv:1802.05751",
    ),
}


def models() -> Mapping[str, Listed]:
    """Every model by name, those of plug-ins too."""
    plugins.load()
    return MODELS


def entry(name: str) -> Listed:
    """The entry of model `name`; raises PthetaError naming the nearest one.

    MODULE:CLASS names a class of a module that the user has named, for which `ptheta.plugins` says
    how.
    """
    found = models().get(name) or _of_named_module(name)
    if found is None:
        raise unknown("model", name, MODELS)
    return found


def known(name: str) -> bool:
    """Whether there is a model of this name."""
    return name in models() or _of_named_module(name) is not None


def _of_named_module(name: str) -> Listed | None:
    """The class of that name in a module that the user has named; nothing is imported."""
    module, _, path = name.partition(":")
    if not path or module not in plugins.named() or module not in sys.modules:
        return None
    from ptheta.models.own import is_model, registered

    cls: object = sys.modules[module]
    for part in path.split("."):
        if not isinstance(cls, type | ModuleType):
            return None
        cls = vars(cls).get(part)
    if not is_model(cls) or cls.__module__ != module:
        return None
    return registered(cls, name)
