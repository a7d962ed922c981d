"""Commands in forks of a process that has torch imported: started at once, and killed at will."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

FAULT = 70  # the status of a call that raised


def fork(call: Callable[[], int]) -> int:
    """Runs `call` in a new process, which leads a group of its own; returns its number.

    call: gives the exit status
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _end(call)
    return child


def _end(call: Callable[[], int]) -> NoReturn:
    status = FAULT
    try:
        os.setsid()
        status = call()
    except SystemExit as done:
        status = done.code if isinstance(done.code, int) else int(done.code is not None)
    except BaseException:  # whatever it is: the parent sees the traceback and the status
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def send_to(stream: int, file: Path | str) -> None:
    """Sends what this process writes to a stream (1, 2) into an emptied file."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, stream)
    os.close(handle)


def wait(child: int, limit: float) -> int | None:
    """The status of a child (minus the number of the signal that ended it); None where it did not
    end within `limit` seconds: then it and what it started are killed."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
