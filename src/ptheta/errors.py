"""Errors that a user can act on: one line with the value, the reason and the remedy."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable

# torch has an own type for this on a GPU only; libraries of CUDA do not use it. Only the words of
# torch: a model of the user may have a memory of its own
NO_MEMORY = re.compile(
    r"\b(?:CUDA|HIP|MPS|XPU)(?: backend| error:| driver error:)? out of memory"
    r"|Cuda failure (?:\d+ )?'out of memory'|_ALLOC_FAILED\b"
    r"|DefaultCPUAllocator: (?:can't allocate|not enough) memory"
    r"|Storage size calculation overflowed|Cannot allocate memory|std::bad_alloc"
)
UNMAPPED = "failed to map segment from shared object"  # the loader of libraries
SIZE = r"([\d.,]+ (?:bytes|[KMGT]i?B))"
TRIED = re.compile(rf"(?:tried to|Unable to) allocate {SIZE}", re.IGNORECASE)
OF_GPU = re.compile(rf"GPU (\d+) has a total capacity of {SIZE} of which {SIZE} is free")
MOST_WRONG = 3  # maximum typos in a long word
MOST_KNOWN = 50  # names that a message lists
LEAST_SHARED = 3  # minimum length of a shared name part


class PthetaError(Exception):
    """Invalid input. The message is one line: what was given, why it is not possible, what to do.

    The command line prints it without a traceback and exits with status 2. It can be pickled for
    another process, whatever the arguments of its class.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (type(self), self.args), self.__dict__


def _remade(cls: type[PthetaError], args: tuple[object, ...]) -> PthetaError:
    """Unpickles an error without calling its class, which may need more arguments."""
    return cls.__new__(cls, *args)


class CannotWrite(PthetaError):
    """A file or folder that cannot be written: no space, no permission, or no such location."""


class OutOfMemory(PthetaError):
    """The memory of this machine or of a GPU does not suffice."""


class InUse(PthetaError):
    """A folder that another process is using."""


class Interrupted(PthetaError):
    """Work ended by a signal. The command line exits with 128 + `number`, the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


def lacking(error: BaseException) -> str | None:
    """What an error of torch, NumPy or Python says of memory that has run out; None for another
    error."""
    text = str(error)
    match error:
        case MemoryError():
            known = True
        case RuntimeError():
            known = NO_MEMORY.search(text) is not None
        case OSError():
            known = error.errno == errno.ENOMEM
        case ImportError():  # with a reason after these words, it is another one
            known = text.endswith(UNMAPPED)
        case _:
            known = False
    if not known:
        return None
    tried, gpu = TRIED.search(text), OF_GPU.search(text)
    facts = [] if tried is None else [f"tried to allocate {_readable(tried[1])}"]
    facts += [] if gpu is None else [f"{gpu[3]} of {gpu[2]} are free"]
    where = "" if gpu is None else f" on GPU {gpu[1]}"
    more = f" ({', '.join(facts)})" if facts else ""
    return f"out of memory{where}{more}"


def out_of_memory(error: BaseException) -> OutOfMemory | None:
    """The error for memory that has run out, wherever that was; None for another error."""
    told = lacking(error)
    if told is None:
        return None
    return OutOfMemory(f"{told}: use fewer or smaller examples, or a smaller model")


def _readable(size: str) -> str:
    """A number of bytes in a larger unit; other sizes as they are."""
    number, _, unit = size.partition(" ")
    return readable_size(int(number)) if unit == "bytes" else size


def readable_size(n: int) -> str:
    """A number of bytes for a message: "512 bytes", "3.4 MiB", "1,024.0 GiB"."""
    if n >= 2**63:
        return "more than 8 billion GiB"
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if n >= unit:
            return f"{n / unit:,.1f} {name}"
    return f"{n:,} bytes"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The entry of `known` that `word` probably means, or None if none is near.

    A name is near if it differs in few letters (one in a short word, three in a long one), or if it
    is the only one that begins with `word` or shares its parts: `batch` for `batch-size`,
    `num-steps` for `steps`. Case and - versus _ are ignored.
    """
    by_parts = {_parts(name): name for name in known}
    given = _parts(word)
    text = "-".join(given)
    most = {parts: _allowed(text, "-".join(parts)) for parts in by_parts}
    distances = {p: distance(text, "-".join(p), most[p]) for p in by_parts}
    close = [parts for parts in by_parts if distances[parts] <= most[parts]]
    if close:
        return by_parts[min(close, key=lambda parts: (distances[parts], parts[0][:1] != text[:1]))]
    begin = [p for p in by_parts if len(text) >= LEAST_SHARED and "-".join(p).startswith(text)]
    shared = [p for p in by_parts if _shared(p, given)]
    for candidates in (begin, shared):
        if len(candidates) == 1:
            return by_parts[candidates[0]]
    return None


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.lower().strip("-").replace("_", "-").split("-"))


def _allowed(a: str, b: str) -> int:
    """How many letters may differ; never all of them."""
    size = max(len(a), len(b))
    return min(size - 1, 1 if size < 6 else 2 if size < 11 else MOST_WRONG)


def _shared(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether all parts of one name, which must be longer than single letters, are in the other."""
    few = min(set(a), set(b), key=len)
    return few <= set(a) & set(b) and any(len(part) >= LEAST_SHARED for part in few)


def distance(a: str, b: str, most: int) -> int:
    """Number of insertions, deletions, substitutions and adjacent swaps that turn `a` into `b`
    (optimal string alignment: Damerau 1964); `most` + 1 if more than `most`."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before, row = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        earlier, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most and min(before) > most:  # it can only increase
            return most + 1
    return min(row[-1], most + 1)


def unknown(kind: str, given: object, known: Iterable[str]) -> PthetaError:
    """The error for an unknown name, which suggests the nearest known one."""
    names = list(known)
    if not isinstance(given, str) and str(given) in names:
        return PthetaError(f"{kind} = {given!r}: give its name, {str(given)!r}")
    near = nearest(str(given), names)
    more = f", ... ({len(names):,} in all)" if len(names) > MOST_KNOWN else ""
    known_ones = ", ".join(names[:MOST_KNOWN]) + more
    cure = f"did you mean {near!r}?" if near else f"known: {known_ones}"
    return PthetaError(f"unknown {kind} {str(given)!r}: {cure}")
