"""Registry entries of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ptheta.config import variant

if TYPE_CHECKING:
    from torch import nn

    from ptheta.conditions import ConditionSpec
    from ptheta.specs import DataSpec

PRESETS = "ptheta.models.adversarial.presets"  # of models that are presets of one class


class Listed(ABC):
    """A registry entry of a model.

    family, paper: for lists; about: a short description, or ""
    """

    paper: str
    about: str

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
        """A factory of the model with new weights. It raises PthetaError for an unsupported spec or
        condition."""

    def build(
        self,
        spec: DataSpec,
        config: Any,
        condition: ConditionSpec | None,
        to_train: bool = False,
    ) -> nn.Module:
        """Build the model with new weights.

        Args:
            spec: description of one example.
            config: options of the model.
            condition: description of the condition; None for an unconditional model.
            to_train: whether gradients and optimizer moments have to fit into memory as well.

        Raises:
            PthetaError: for an unsupported spec or condition, and for weights that do not fit into
                memory, before any is allocated.
        """
        from ptheta.compute import memory  # torch is imported when a model is made

        times = memory.TRAINED if to_train else memory.USED
        return memory.built(self.maker(spec, config, condition), times)


@dataclass(frozen=True)
class Entry(Listed):
    """The entry of a model of this package, imported lazily."""

    file: str  # family and module, as "variational.vae"; the module also holds RECIPES
    model: str  # the nn.Module: Model(spec, config)
    config: str  # its frozen dataclass
    paper: str
    preset: str = ""  # of PRESETS: other defaults of the config, and recipes
    about: str = ""

    @property
    def family(self) -> str:
        """Its folder in `models/`."""
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


def gan(preset: str, paper: str, about: str = "") -> Entry:
    """A named combination of the parts of one model."""
    return Entry("adversarial.gan", "GAN", "GANConfig", paper, preset, about)
