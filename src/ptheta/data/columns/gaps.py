"""The table formats that support imputation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ptheta.data.columns.gap_array import ArrayGaps
from ptheta.data.columns.gap_file import GapFile, Put
from ptheta.data.columns.gap_text import TextGaps
from ptheta.data.extras import need_pyarrow
from ptheta.errors import PthetaError
from ptheta.specs import VectorSpec


def _arrow(path: Path, spec: VectorSpec) -> GapFile:
    need_pyarrow(path)
    from ptheta.data.columns.gap_arrow import ArrowGaps

    return ArrowGaps(path, spec)


# by the suffix of the file
GAPS: dict[str, Callable[[Path, VectorSpec], GapFile]] = {
    ".csv": TextGaps,
    ".tsv": TextGaps,
    ".npy": ArrayGaps,
    ".parquet": _arrow,
}


def gaps_of(path: Path, spec: VectorSpec) -> GapFile:
    """The table at a path. Raises PthetaError where there is none, or of another kind."""
    kind = GAPS.get(path.suffix.lower())
    if kind is None or not path.is_file():
        what = "is no file" if kind is not None else "is not a supported table"
        raise PthetaError(f"{path} {what}: give a table as {', '.join(GAPS)}")
    return kind(path, spec)


@contextmanager
def together(table: GapFile, outs: Sequence[Path]) -> Iterator[list[Put]]:
    """All of these files, written at once."""
    with ExitStack() as stack:
        yield [stack.enter_context(table.writing(out)) for out in outs]
