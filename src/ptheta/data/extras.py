"""Packages that are not installed with this one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ptheta.errors import PthetaError


def need_pyarrow(path: Path, instead: str = "") -> None:
    """Import pyarrow; raises PthetaError if it is not installed.

    path: the file that needs it; instead: an alternative for the message
    """
    if find_spec("pyarrow") is None:
        raise PthetaError(f"{path} needs the extra: pip install 'ptheta[parquet]'{instead}")
