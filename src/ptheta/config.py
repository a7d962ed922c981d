"""Configs: frozen dataclasses whose fields carry their help text and whose values are checked.

The same declaration serves Python (`ptheta.create("vae", spec, latent=20)`), the command line
(`--latent 20`) and config files (`latent = 20`).
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Gt, Le

from ptheta.errors import PthetaError, unknown

T = TypeVar("T")

Count = Annotated[int, Gt(0)]  # 1, 2, ...
NonNegative = Annotated[int, Ge(0)]  # 0, 1, ...
Positive = Annotated[float, Gt(0)]
AtLeastZero = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]


def option(default: Any, help: str) -> Any:
    """A config field with its default and one line of help (with the unit, where it has one)."""
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class Option:
    """One settable field of a config, as the command line and the docs need it."""

    name: str
    default: Any
    help: str
    hint: Any  # the type, with its constraints

    @property
    def is_flag(self) -> bool:
        return self.hint is bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words of a `Literal` field; empty for any other."""
        return typing.get_args(self.hint) if typing.get_origin(self.hint) is typing.Literal else ()

    @property
    def is_tuple(self) -> bool:
        hints = typing.get_args(self.hint) if _is_union(self.hint) else (self.hint,)
        return any(typing.get_origin(hint) is tuple for hint in hints)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def options(cls: type) -> dict[str, Option]:
    """The fields of config class `cls`, by name."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {
        field.name: Option(
            field.name, field.default, field.metadata.get("help", ""), hints[field.name]
        )
        for field in dataclasses.fields(cls)
    }


def check_choices(config: Any) -> None:
    """Raises PthetaError where a field of this config holds a word that is not among its choices:
    for configs that were made by hand, not by `build`."""
    for name, opt in options(type(config)).items():
        if opt.choices and getattr(config, name) not in opt.choices:
            raise unknown(name, getattr(config, name), opt.choices)


def variant(cls: type[T], defaults: Mapping[str, Any]) -> type[T]:
    """Config class `cls` with other defaults. Raises PthetaError for a name it does not have."""
    known = options(cls)
    fields = []
    for name, value in defaults.items():
        if name not in known:
            raise unknown("option", name, known)
        fields.append((name, known[name].hint, option(value, known[name].help)))
    made = dataclasses.make_dataclass(cls.__name__, fields, bases=(cls,), frozen=True)
    made.__module__ = cls.__module__
    return made


def build(cls: type[T], values: Mapping[str, Any], kind: str = "option") -> T:
    """An instance of config class `cls` from names and values (strings are parsed).

    Raises PthetaError for an unknown name (naming the nearest known one) and for a value of the
    wrong type or outside its range.
    """
    known = options(cls)
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise unknown(kind, name, known)
        checked[name] = _check(known[name], value)
    return cls(**checked)


def _check(opt: Option, value: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError  # slow to import, needed only here

    if opt.is_tuple and isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    try:
        return TypeAdapter(opt.hint).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        reason = reason[0].lower() + reason[1:]
        shown = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        raise PthetaError(
            f"{opt.name} = {shown!s}: {reason} (default {plain(opt.default)})"
        ) from None


def plain(value: Any) -> Any:
    """`value` as JSON can hold it."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_dict(value)
    return value


def as_dict(config: Any) -> dict[str, Any]:
    """The fields of a config as JSON-ready values; `build` takes them back."""
    return {f.name: plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def read_file(path: Path) -> dict[str, Any]:
    """The table in a `.toml` or `.json` config file. Raises PthetaError where it is neither."""
    try:
        text = path.read_text()
    except OSError as error:
        raise PthetaError(f"config file {path}: {error.strerror}; give a readable file") from None
    try:
        if path.suffix == ".toml":
            import tomllib

            table = tomllib.loads(text)
        else:
            table = json.loads(text)
    except ValueError as error:
        raise PthetaError(f"config file {path} is not valid TOML or JSON: {error}") from None
    if not isinstance(table, dict):
        raise PthetaError(f"config file {path}: want a table of options, not a {type(table)}")
    return table
