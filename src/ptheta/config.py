"""Configs: frozen dataclasses of options with their help, and values that are checked.

The same declaration serves Python (`ptheta.create("vae", spec, latent=20)`), the command line
(`--latent 20`) and config files (`latent = 20`).
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, TypeVar

from annotated_types import Ge, Gt, Le, Len

from ptheta.errors import PthetaError, unknown

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, TypeAdapter, ValidationError
    from pydantic_core import CoreSchema


class Config(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[object]]]


T = TypeVar("T")
C = TypeVar("C", bound=Config)

MOST = 2**31 - 1  # of what is counted
MOST_PARTS = 1000  # of what is built one by one
MOST_SIDE = 16_384  # pixels
MOST_THREADS = 1024  # of threads and of processes
LAST_SEED = 2**63 - 1

# Numbers are finite wherever a config is checked: see `build`.
Count = Annotated[int, Gt(0), Le(MOST)]  # 1, 2, ...
NonNegative = Annotated[int, Ge(0), Le(MOST)]  # 0, 1, ...
Parts = Annotated[int, Gt(0), Le(MOST_PARTS)]  # layers, blocks, orders: each takes its time
Side = Annotated[int, Gt(0), Le(MOST_SIDE)]  # of a picture, pixels
Layers = Annotated[tuple[Count, ...], Len(1)]  # units of one layer or more
Threads = Annotated[int, Ge(0), Le(MOST_THREADS)]
Seed = Annotated[int, Ge(0), Le(LAST_SEED)]
Positive = Annotated[float, Gt(0)]
AtLeastZero = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]


class Choice(Protocol):
    """An entry of a table that an option chooses from: see `OneOf`."""

    @property
    def about(self) -> str:
        """Half a line for the help: what it is, and its paper."""

    @property
    def traits(self) -> Collection[str]:
        """What it is, in words that other entries may exclude."""

    @property
    def excludes(self) -> Mapping[str, str]:
        """Trait -> why this does not go with an entry that has it, as the end of a sentence."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A `Choice`, to be extended by what an entry of that kind does."""

    about: str = ""
    traits: frozenset[str] = frozenset()
    excludes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reads: frozenset[str] = frozenset()  # options that nothing reads where no such entry is chosen


class OneOf:
    """`Annotated[str, OneOf(TABLE)]` is the type of a field that names an entry of that table.

    The table is read whenever the field is checked or shown: a new entry is a choice at once.
    more: words that are allowed beside the names of entries
    """

    def __init__(self, table: Mapping[str, Choice], *more: str) -> None:
        self.table, self.more = table, more

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.more, *self.table)

    @property
    def about(self) -> str:
        """What the entries are that say so."""
        return "; ".join(f"{n}: {entry.about}" for n, entry in self.table.items() if entry.about)

    def check(self, name: str) -> str:
        """Raises ValueError for the name of no entry."""
        if name not in self.names:
            *first, last = (repr(known) for known in self.names)
            raise ValueError(f"input should be {', '.join(first)}{' or ' * bool(first)}{last}")
        return name

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema  # slow to import, as pydantic is

        return core_schema.no_info_after_validator_function(self.check, handler(source))


def _one_of(hint: object) -> OneOf | None:
    """The table that a value of this type, or each part of it, names an entry of."""
    if isinstance(hint, OneOf):
        return hint
    return next((found for part in typing.get_args(hint) if (found := _one_of(part))), None)


def option(default: T, help: str, of: str = "", basic: bool = False) -> T:
    """A config field with its default and one line of help (with the unit, where it has one).

    It is a `dataclasses.Field`, typed as its default is, as `dataclasses.field` does.
    of: the option of the same config without which nothing reads this one: where that is 0, none,
        or no entry of its table
    basic: whether most users have to know of it; the others stand below all of these in the help
    """
    return dataclasses.field(default=default, metadata={"help": help, "of": of, "basic": basic})


@dataclasses.dataclass(frozen=True)
class Option:
    """One settable field of a config, as the command line and the docs need it."""

    name: str
    default: object
    help: str
    hint: Any  # the type, with its constraints: what annotations are made of has no type itself
    of: str = ""
    basic: bool = False

    @property
    def is_flag(self) -> bool:
        return self.hint is bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words of a field that is a `Literal` (or none), or one or several names of
        `OneOf` a table; empty for any other."""
        if (named := _one_of(self.hint)) is not None:
            return named.names
        hints = typing.get_args(self.hint) if _is_union(self.hint) else (self.hint,)
        literals = (typing.get_args(h) for h in hints if typing.get_origin(h) is typing.Literal)
        return tuple(word for literal in literals for word in literal)

    @property
    def table(self) -> Mapping[str, Choice]:
        """The entries that the field names; empty where it names none."""
        named = _one_of(self.hint)
        return {} if named is None else named.table

    @property
    def is_tuple(self) -> bool:
        hints = typing.get_args(self.hint) if _is_union(self.hint) else (self.hint,)
        plain = (typing.get_args(h)[0] if typing.get_origin(h) is Annotated else h for h in hints)
        return any(typing.get_origin(hint) is tuple for hint in plain)


def _is_union(hint: object) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def options(cls: type[Config]) -> dict[str, Option]:
    """The fields of config class `cls`, by name."""
    hints, texts = typing.get_type_hints(cls, include_extras=True), _texts(cls)
    return {
        field.name: Option(
            field.name,
            field.default,
            _help(texts[field.name], hint),
            hint,
            field.metadata.get("of", ""),
            field.metadata.get("basic", False),
        )
        for field in dataclasses.fields(cls)
        for hint in [hints[field.name]]
    }


def _texts(cls: type[Config]) -> dict[str, str]:
    """The help of each field, as it was written."""
    return {field.name: field.metadata.get("help", "") for field in dataclasses.fields(cls)}


def _help(text: str, hint: object) -> str:
    """The help of a field, and what the entries are that it may name."""
    named = _one_of(hint)
    return f"{text}; {named.about}" if named is not None and named.about else text


def is_off(opt: Option, value: object) -> bool:
    """Whether this value of an option is 0, none, or no entry of its table."""
    return not value or bool(opt.table and not set(map(str, words(value))) & opt.table.keys())


def readers(known: Mapping[str, Option], name: str) -> dict[str, tuple[str, ...]]:
    """The options that choose what reads option `name` (`Entry.reads`), and by which of their
    entries; empty of one that every choice reads."""
    tables = {key: opt.table.items() for key, opt in known.items()}
    found = {
        key: tuple(n for n, e in table if isinstance(e, Entry) and name in e.reads)
        for key, table in tables.items()
    }
    return {key: entries for key, entries in found.items() if entries}


def masters(known: Mapping[str, Option], name: str) -> tuple[str, ...]:
    """The options that decide whether anything reads option `name`."""
    of = known[name].of
    return (*([of] if of else []), *readers(known, name))


def idle_option(config: Config, given: Collection[str]) -> str | None:
    """What to say of the first of these options that nothing reads, as it belongs to another one
    which is off, or to a choice that is not made; None where all are read."""
    known, values = options(type(config)), vars(config)
    for name in (name for name in known if name in given):
        cure = _off(known, values, name) or _not_chosen(known, values, name)
        if cure is not None:
            return f"{_flag(name)} {brief(values[name])} is of {cure}, or leave {_flag(name)} out"
    return None


def _off(known: Mapping[str, Option], values: Mapping[str, object], name: str) -> str | None:
    of = known[name].of
    if not of or not is_off(known[of], values[of]):
        return None
    off = "none" if values[of] in ((), None) else values[of]
    return f"{_flag(of)}, which is {off} here: give that, too"


def _not_chosen(known: Mapping[str, Option], values: Mapping[str, object], name: str) -> str | None:
    by = readers(known, name)
    if not by or any(set(map(str, words(values[key]))) & set(by[key]) for key in by):
        return None
    wanted = " or ".join(f"{_flag(key)} {entry}" for key, found in by.items() for entry in found)
    chosen = " and ".join(f"{_flag(key)} {brief(values[key])}" for key in by)
    return f"{wanted}, and here is {chosen}: choose one that reads it"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def unknown_choice(config: object) -> str | None:
    """What to say of a word in this config that is not among its field's choices; None where there
    is none, or no config. For configs that were made by hand, not by `build`."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        return None
    values = vars(config)
    for name, opt in options(type(config)).items():
        for word in words(values[name]) if opt.choices else ():
            if word is not None and word not in opt.choices:
                return str(unknown(name, word, opt.choices))
    return None


def words(value: object) -> tuple[object, ...]:
    """The value of a field, or each of them where it holds several."""
    return value if isinstance(value, tuple) else (value,)


def variant(cls: type[C], defaults: Mapping[str, object]) -> type[C]:
    """Config class `cls` with other defaults. Raises PthetaError for a name it does not have."""
    base, texts = options(cls), _texts(cls)
    fields = []
    for name, value in defaults.items():
        if name not in base:
            raise unknown("option", name, base)
        old = base[name]
        fields.append((name, old.hint, option(value, texts[name], old.of, old.basic)))
    subclass = dataclasses.make_dataclass(cls.__name__, fields, bases=(cls,), frozen=True)
    subclass.__module__ = cls.__module__
    return subclass


def build(
    cls: type[C], values: Mapping[str, object], kind: str = "option", *, strict: bool = False
) -> C:
    """An instance of config class `cls` from names and values (strings are parsed).

    strict: the values are as `as_dict` gives them, so that a text is no number
    Raises PthetaError for an unknown name (naming the nearest known one), for a value of the wrong
    type or outside its range, and for a number that is not finite.
    """
    fields = options(cls)
    checked = {}
    for name, value in values.items():
        if name not in fields:
            raise unknown(kind, name, fields)
        checked[name] = _check(fields[name], value, strict)
    return cls(**checked)


def _check(opt: Option, value: object, strict: bool) -> object:
    from pydantic import ValidationError  # slow to import, needed only here

    if opt.is_tuple and isinstance(value, str) and not strict:
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(value, tuple) and len(value) > MOST_PARTS:
        raise PthetaError(f"{opt.name}: {len(value)} values, want {MOST_PARTS} or fewer")
    try:
        # true is no number, though Python counts it as 1
        return _adapter(opt).validate_python(value, strict=strict or _true(value))
    except ValidationError as error:
        raise PthetaError(
            f"{opt.name} = {brief(value)}: {reason(error)} (default {plain(opt.default)})"
        ) from None


def _true(value: object) -> bool:
    return any(isinstance(v, bool) for v in words(value))


@lru_cache(maxsize=1024)
def _adapter(opt: Option) -> TypeAdapter[object]:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(opt.hint, config=ConfigDict(allow_inf_nan=False))


def reason(error: ValidationError) -> str:
    """The first fault that pydantic found, as the end of a line."""
    text = error.errors(include_url=False, include_context=False)[0]["msg"]
    text = text.removeprefix("Value error, ")
    return " ".join((text[:1].lower() + text[1:]).split())


def brief(value: object, most: int = 80) -> str:
    """A value for a message: on one line, and not longer than a line."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else _text(value)
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def _text(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # a whole number of more digits than Python writes out
        return "a number of thousands of digits"


def plain(value: object) -> object:
    """`value` as JSON can hold it."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_dict(value)
    return value


def as_dict(config: Config) -> dict[str, object]:
    """The fields of a config as JSON-ready values; `build` takes them back."""
    values = vars(config)
    return {field.name: plain(values[field.name]) for field in dataclasses.fields(config)}


def read_file(path: Path) -> dict[str, object]:
    """The table in a `.toml` or `.json` config file, in UTF-8. Raises PthetaError where it is
    neither, and where a name comes twice."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PthetaError(
            f"config file {brief(path)}: {error.strerror}; give a readable file"
        ) from None
    except UnicodeDecodeError:
        raise PthetaError(f"config file {path} is not in UTF-8: save it in that encoding") from None
    try:
        table = _parse(text, toml=path.suffix.lower() == ".toml")
    except (ValueError, RecursionError) as error:
        raise PthetaError(
            f"config file {path} is not valid TOML or JSON: {brief(error, 200)}"
        ) from None
    if not isinstance(table, dict):
        raise PthetaError(f"config file {path}: want a table of options, not {brief(table)}")
    return table


def _parse(text: str, toml: bool) -> object:
    if toml:
        import tomllib

        return tomllib.loads(text)
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """A JSON object. Raises ValueError for a name that comes twice, as TOML does by itself."""
    table: dict[str, object] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"{name!r} comes twice")
        table[name] = value
    return table
