"""Configs: frozen dataclasses of options with help texts and validated values.

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

MOST = 2**31 - 1  # maximum of counts
MOST_PARTS = 1000  # maximum number of layers, blocks, ...
MOST_SIDE = 16_384  # pixels
MOST_THREADS = 1024  # of threads and of processes
LAST_SEED = 2**63 - 1

# All numbers in a config must be finite: see `build`.
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
    """An entry of the table that an option chooses from: see `OneOf`."""

    @property
    def about(self) -> str:
        """Short description for the help, with the paper."""

    @property
    def traits(self) -> Collection[str]:
        """Properties of the entry, which other entries may exclude."""

    @property
    def excludes(self) -> Mapping[str, str]:
        """Trait -> why this entry cannot be combined with one that has it, as the end of a
        sentence."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """Base class of table entries (a `Choice`); subclasses add what an entry of that kind does."""

    about: str = ""
    traits: frozenset[str] = frozenset()
    excludes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reads: frozenset[str] = frozenset()  # options that are only used if such an entry is chosen


class OneOf:
    """`Annotated[str, OneOf(TABLE)]` is the type of a field that names an entry of that table.

    The table is read whenever the field is checked or shown, so new entries become choices
    immediately.
    more: further allowed words
    """

    def __init__(self, table: Mapping[str, Choice], *more: str) -> None:
        self.table, self.more = table, more

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.more, *self.table)

    @property
    def about(self) -> str:
        """Descriptions of the entries that have one."""
        return "; ".join(f"{n}: {entry.about}" for n, entry in self.table.items() if entry.about)

    def check(self, name: str) -> str:
        """Raises ValueError for an unknown name."""
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
    """The table from which a value of this type, or each of its parts, is chosen."""
    if isinstance(hint, OneOf):
        return hint
    return next((found for part in typing.get_args(hint) if (found := _one_of(part))), None)


def option(default: T, help: str, of: str = "", basic: bool = False) -> T:
    """A config field with its default and a one-line help text (with the unit, if any).

    Returns a `dataclasses.Field`, typed like its default, as `dataclasses.field` does.

    Args:
        default: default value
        help: help text, a noun phrase or imperative
        of: an option of the same config that enables this one: this one is unused if that is 0,
            none, or not an entry of its table
        basic: whether most users need it; other options are only shown by --help-all
    """
    return dataclasses.field(default=default, metadata={"help": help, "of": of, "basic": basic})


@dataclasses.dataclass(frozen=True)
class Option:
    """One settable field of a config, as the command line and the docs need it."""

    name: str
    default: object
    help: str
    hint: Any  # the annotation, with its constraints
    of: str = ""
    basic: bool = False

    @property
    def is_flag(self) -> bool:
        return self.hint is bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words of a `Literal` field (or None), or of one or several names from a
        `OneOf` table; empty for other fields."""
        if (named := _one_of(self.hint)) is not None:
            return named.names
        hints = typing.get_args(self.hint) if _is_union(self.hint) else (self.hint,)
        literals = (typing.get_args(h) for h in hints if typing.get_origin(h) is typing.Literal)
        return tuple(word for literal in literals for word in literal)

    @property
    def table(self) -> Mapping[str, Choice]:
        """The table of entries that the field chooses from; empty for other fields."""
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
    """The help text of each field, as written."""
    return {field.name: field.metadata.get("help", "") for field in dataclasses.fields(cls)}


def _help(text: str, hint: object) -> str:
    """The help text of a field, with descriptions of the entries it may name."""
    named = _one_of(hint)
    return f"{text}; {named.about}" if named is not None and named.about else text


def is_off(opt: Option, value: object) -> bool:
    """Whether this value of an option is 0, none, or not an entry of its table."""
    return not value or bool(opt.table and not set(map(str, words(value))) & opt.table.keys())


def readers(known: Mapping[str, Option], name: str) -> dict[str, tuple[str, ...]]:
    """The options that enable option `name` (`Entry.reads`), with their entries that do; empty if
    every choice uses it."""
    tables = {key: opt.table.items() for key, opt in known.items()}
    found = {
        key: tuple(n for n, e in table if isinstance(e, Entry) and name in e.reads)
        for key, table in tables.items()
    }
    return {key: entries for key, entries in found.items() if entries}


def masters(known: Mapping[str, Option], name: str) -> tuple[str, ...]:
    """The options that decide whether option `name` is used."""
    of = known[name].of
    return (*([of] if of else []), *readers(known, name))


def idle_option(config: Config, given: Collection[str]) -> str | None:
    """The message for the first of these options that has no effect, since it belongs to an option
    that is off or to another choice; None if all are used."""
    known, values = options(type(config)), vars(config)
    for name in (name for name in known if name in given):
        cure = _off(known, values, name) or _not_chosen(known, values, name)
        if cure is not None:
            return (
                f"{_flag(name)} {brief(values[name])} only applies to {cure}, or leave "
                f"{_flag(name)} out"
            )
    return None


def _off(known: Mapping[str, Option], values: Mapping[str, object], name: str) -> str | None:
    of = known[name].of
    if not of or not is_off(known[of], values[of]):
        return None
    off = "none" if values[of] in ((), None) else values[of]
    return f"{_flag(of)}, which is {off} here: set that as well"


def _not_chosen(known: Mapping[str, Option], values: Mapping[str, object], name: str) -> str | None:
    by = readers(known, name)
    if not by or any(set(map(str, words(values[key]))) & set(by[key]) for key in by):
        return None
    wanted = " or ".join(f"{_flag(key)} {entry}" for key, found in by.items() for entry in found)
    chosen = " and ".join(f"{_flag(key)} {brief(values[key])}" for key in by)
    return f"{wanted}, and the choice here is {chosen}: choose one that uses it"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def unknown_choice(config: object) -> str | None:
    """The message for a word in this config that is not one of its field's choices; None if there
    is none, or no config. For configs constructed directly, not by `build`."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        return None
    values = vars(config)
    for name, opt in options(type(config)).items():
        for word in words(values[name]) if opt.choices else ():
            if word is not None and word not in opt.choices:
                return str(unknown(name, word, opt.choices))
    return None


def words(value: object) -> tuple[object, ...]:
    """The value of a field, or its values if it holds several."""
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

    Args:
        cls: config class
        values: option values by name
        kind: what an option is called in messages
        strict: values have the types that `as_dict` returns, so strings are not parsed as numbers

    Raises:
        PthetaError: for an unknown name (naming the nearest known one), for a value of the wrong
            type or out of range, and for a number that is not finite
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
        # reject booleans as numbers, though Python accepts them
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
    """The first error that pydantic found, as the end of a line."""
    text = error.errors(include_url=False, include_context=False)[0]["msg"]
    text = text.removeprefix("Value error, ")
    return " ".join((text[:1].lower() + text[1:]).split())


def brief(value: object, most: int = 80) -> str:
    """Shortens a value for a message to at most one line."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else _text(value)
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def _text(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # an integer with more digits than Python converts to text
        return "a number of thousands of digits"


def plain(value: object) -> object:
    """Converts `value` to a JSON-compatible one."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_dict(value)
    return value


def as_dict(config: Config) -> dict[str, object]:
    """The fields of a config as JSON-ready values; inverse of `build`."""
    values = vars(config)
    return {field.name: plain(values[field.name]) for field in dataclasses.fields(config)}


def read_file(path: Path) -> dict[str, object]:
    """The table in a `.toml` or `.json` config file, in UTF-8. Raises PthetaError if it is neither,
    or if a name occurs twice."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PthetaError(
            f"config file {brief(path)}: {error.strerror}; give a readable file"
        ) from None
    except UnicodeDecodeError:
        raise PthetaError(f"config file {path} is not UTF-8: save it in that encoding") from None
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
    """A JSON object. Raises ValueError for a duplicate name, as TOML does by itself."""
    table: dict[str, object] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"{name!r} occurs twice")
        table[name] = value
    return table
