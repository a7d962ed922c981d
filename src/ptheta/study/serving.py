"""`ptheta study serve` without its web libraries: what is checked before they are imported."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from ptheta.errors import PthetaError
from ptheta.study.guard import LOCAL, Doors
from ptheta.study.plan import read_plan
from ptheta.study.store import Store

NEEDED = ("fastapi", "uvicorn")


def doors(folder: Path, token: str | None, *, local: bool, origin: str, base: str) -> Doors:
    """Who may come in.

    Args:
        folder: Of the study, which keeps its random token.
        token: What the link holds; None: none on this machine, else the random one.
        local: Whether only this machine can reach the server.
        origin: Where the pages are seen from outside, or "".
        base: Path below which they are, or "".

    Raises:
        PthetaError: The folder is no study.
    """
    mark = read_plan(folder).mark
    if token is None and not local:
        with closing(Store(folder)) as store:
            token = store.secret("token")
    return Doors(base=base, token=token, hosts=LOCAL if local else (), origin=origin, mark=mark)


def serve(folder: Path, host: str, port: int, doors: Doors, ready: Callable[[str], None]) -> None:
    """As `ptheta.study.server.serve`. Raises PthetaError where the web libraries are missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise PthetaError(
            f"serving a study needs {' and '.join(missing)}: pip install 'ptheta[web]'"
        )
    from ptheta.study import server

    server.serve(folder, host, port, doors, ready)
