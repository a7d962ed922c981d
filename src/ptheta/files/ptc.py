"""The file format of compressed images, .ptc.

"PTC1", the length of the header (4 bytes, little-endian), the header as JSON, the code, and the
first 8 bytes of the SHA-256 of all preceding bytes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, NamedTuple

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict

from ptheta.errors import PthetaError
from ptheta.files.atomic import check_file, make_folder, write_atomic

SUFFIX = ".ptc"
MARK = b"PTC"
FORMAT = 1
SUM = 8  # length of the checksum in bytes
LONGEST = 1 << 20  # maximum bytes of a header
MOST = 1 << 40  # maximum number of images


class Header(BaseModel):
    """The header of a file.

    model: a hash of the weights, the config and the spec of the model
    pixels: a hash of the images; images: their number; batch: number of images coded together
    torch: its version, on which probabilities may depend
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    format: int
    model: str
    pixels: str
    torch: str
    images: Annotated[int, Ge(1), Le(MOST)]
    batch: Annotated[int, Ge(1), Le(MOST)]


class Coded(NamedTuple):
    """The content of a file."""

    header: Header
    code: bytes


def write_ptc(path: Path, header: Header, code: bytes) -> int:
    """Write a file; returns its size in bytes."""
    encoded = header.model_dump_json().encode()
    body = MARK + str(header.format).encode() + len(encoded).to_bytes(4, "little") + encoded + code
    make_folder(path.parent)
    write_atomic(path, lambda temporary: temporary.write_bytes(body + _sum(body)))
    return len(body) + SUM


def read_ptc(path: Path) -> Coded:
    """Read a file. Raises PthetaError for another format, and for a truncated or damaged file."""
    check_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PthetaError(f"cannot read {path}: {error.strerror}; give another file") from None
    if data[: len(MARK)] != MARK:
        raise PthetaError(f"{path} was not written by `ptheta compress`: give a .ptc file")
    if data[len(MARK) : 4] != str(FORMAT).encode():
        raise PthetaError(f"{path} was written by another ptheta: read it with that one")
    body = data[:-SUM]
    if len(data) < 8 + SUM or _sum(body) != data[-SUM:]:
        raise PthetaError(
            f"{path} is damaged, or not whole (its checksum is not that of its {len(data):,} "
            "bytes): copy it again, or compress again"
        )
    size = int.from_bytes(body[4:8], "little")
    try:
        if size > min(LONGEST, len(body) - 8):
            raise ValueError("a header longer than the file")
        header = Header.model_validate_json(body[8 : 8 + size])
    except ValueError:  # includes the ValidationError of pydantic
        raise PthetaError(f"{path} has a header that cannot be read: compress again") from None
    return Coded(header, body[8 + size :])


def _sum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:SUM]
