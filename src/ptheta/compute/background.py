"""Threads that work in the background and never keep a process from ending.

The threads of `concurrent.futures` are waited for when a process ends, even if one of them waits
for a server. These are not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from queue import SimpleQueue
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Background:
    """Some threads, which do what is submitted in its order."""

    def __init__(self, name: str, threads: int) -> None:
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        for number in range(threads):
            Thread(target=self._serve, name=f"{name}-{number}", daemon=True).start()

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do the work in one of the threads; the result holds what it returned or raised."""
        future: Future[T] = Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = work(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._tasks.put(task)
        return future

    def _serve(self) -> None:
        while True:
            self._tasks.get()()


def background(name: str, threads: int) -> Background:
    """The threads of this name of this process: those of another do not survive a fork."""
    return _background(name, threads, os.getpid())


@lru_cache(maxsize=8)
def _background(name: str, threads: int, process: int) -> Background:
    return Background(name, threads)
