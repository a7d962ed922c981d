"""Each process of a run on several machines notices within seconds that another one has ended.

A thread of each process takes part in a small `all_reduce` once a second, in a gloo group of its
own: a process that was killed closes its connections, and one whose machine is cut off lets the
operation time out. The process that fails first leaves its reason in the store. The main thread may
be waiting in a collective operation that never ends, so the thread ends the process if need be.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed
from torch.distributed import PrefixStore

from ptheta.errors import PthetaError
from ptheta.training.meeting import Met, brief_error, listed

EVERY = 1.0  # seconds between two signs of life
GRACE = 5.0  # seconds for the main thread to end by itself
ROLL_CALL = 2.0  # seconds for the others to report after the connection is lost
REASON = "reason"  # key of the first failure
FAULT = 2  # exit status


@dataclass(frozen=True)
class Cause:
    """Why a run ends: one line, and the exit status. rank: of the process that failed first"""

    text: str
    status: int = FAULT
    rank: int | None = None


class Ended(PthetaError):
    """The run has ended because of another process. status: exit status"""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.text)
        self.status = cause.status


class Watch:
    """Watches the other processes of a run.

    met: the cards of all; rank: of this process; seconds: without a sign after which a process
        counts as lost; clean: called before the process is ended
    """

    def __init__(
        self, met: Met, store: PrefixStore, rank: int, seconds: float, clean: Callable[[], None]
    ) -> None:
        self.met, self.store, self.rank, self.seconds = met, store, rank, seconds
        self.clean = clean
        self.size = len(met.cards)
        self.cause: Cause | None = None
        self._failed = self._done = False
        self._parent = os.getppid()
        self._woken, self._known, self._over = (threading.Event() for _ in range(3))
        try:
            self._group = distributed.ProcessGroupGloo(
                PrefixStore("watch", store), rank, self.size, timedelta(seconds=seconds)
            )
        except (distributed.DistError, RuntimeError) as error:
            raise PthetaError(
                f"{met.called(rank)} met the others, but was not connected to all of them within "
                f"{seconds:g} s ({brief_error(error)}): one of them was killed, or cannot be "
                "reached; start the command again"
            ) from None
        self._most = distributed.AllreduceOptions()
        self._most.reduceOp = distributed.ReduceOp.MAX  # type: ignore[assignment]
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    # -- the main thread

    def check(self) -> None:
        """Raises Ended if another process has failed."""
        if self.cause is not None:
            self._over.set()
            raise Ended(self.cause)

    def wait(self, key: str) -> bytes:
        """A value of the store, once it is there. Raises Ended if a process fails before."""
        while not self.store.check([key]):
            self.check()
            time.sleep(EVERY / 10)
        return self.store.get(key)

    def explanation(self, seconds: float = GRACE) -> Cause | None:
        """Why the others have ended, if that is known within some seconds."""
        self._known.wait(seconds)
        self._over.set()
        return self.cause

    def fail(self, text: str, status: int) -> None:
        """Tells the others why this process ends."""
        with suppress(RuntimeError, distributed.DistError):
            told = {"rank": self.rank, "text": text, "status": status}
            self.store.compare_set(REASON, "", json.dumps(told))
        self._failed = True
        self._over.set()
        self._woken.set()
        self._thread.join(2 * EVERY + GRACE)

    def leave(self) -> None:
        """Waits until all processes have done their work."""
        self._done = True
        self._woken.set()
        while self._thread.is_alive():
            self._thread.join(EVERY)
            self.check()

    # -- the thread

    def _run(self) -> None:
        while True:
            self._woken.wait(EVERY)
            orphan = (self.rank + 1) * (os.getppid() != self._parent)
            flags = torch.tensor([self._failed, orphan, not self._done], dtype=torch.int32)
            try:
                self._group.allreduce([flags], self._most).wait()  # type: ignore[attr-defined]
            except (distributed.DistError, RuntimeError):
                del self._group  # closes the connections, so that the others notice as well
                self._end(self._explained(lost=True))
                return
            failed, orphan, busy = flags.tolist()
            if orphan:  # its launcher may have held the store
                self._end(Cause(f"the launcher of {self.met.called(orphan - 1)} has ended"))
                return
            if failed:
                self._end(self._explained(lost=False))
                return
            if not busy:
                return
            if self._done:  # only wait for the others
                time.sleep(EVERY / 5)

    def _explained(self, *, lost: bool) -> Cause:
        """The cause of the end. Where the store cannot be reached, its operations may never end."""
        found: list[Cause] = []

        def ask() -> None:
            unknown = Cause("another process of the run has failed")
            found.append(self._told(ROLL_CALL) or (self._lost() if lost else unknown))

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(3 * ROLL_CALL)
        return found[0] if found else self._cut_off()

    def _cut_off(self) -> Cause:
        place = self.met.cards[0]
        return Cause(
            f"{self.met.called(self.rank)} has lost the connection to rank 0's machine "
            f"({place.host}), or the launcher there has ended"
        )

    def _told(self, seconds: float) -> Cause | None:
        """The reason that the first failed process has left, if it has."""
        deadline = time.monotonic() + seconds
        with suppress(RuntimeError, distributed.DistError):
            while time.monotonic() < deadline:
                if self.store.check([REASON]):
                    return self._read(self.store.get(REASON))
                time.sleep(EVERY / 10)
        return None

    def _read(self, reason: bytes) -> Cause:
        told = json.loads(reason)
        text, rank = str(told["text"]), told["rank"]
        if rank is not None and rank != self.rank and told["status"] == FAULT:
            text = f"rank {rank} on {self.met.cards[rank].host}: {text}"
        return Cause(text, int(told["status"]), rank)

    def _lost(self) -> Cause:
        """Which processes do not report any more, after the connection to one is lost."""
        try:
            self.store.set(f"here/{self.rank}", "")
            time.sleep(ROLL_CALL)
            gone = [r for r in range(self.size) if not self.store.check([f"here/{r}"])]
        except (distributed.DistError, RuntimeError):
            return self._cut_off()
        if len(gone) == 1:
            return Cause(f"{self.met.called(gone[0])} was killed, or cannot be reached any more")
        if gone:
            hosts = ", ".join(dict.fromkeys(self.met.cards[rank].host for rank in gone))
            return Cause(f"{listed(gone)} on {hosts} were killed, or cannot be reached any more")
        return Cause("the connection between the processes was lost")

    def _end(self, cause: Cause) -> None:
        """Lets the main thread end by itself, or ends the process."""
        mine = cause.rank == self.rank
        self.cause = cause
        self._known.set()
        if mine or self._over.wait(GRACE):
            return
        self.clean()
        with suppress(OSError, ValueError):
            print(f"ptheta: {' '.join(cause.text.split())}", file=sys.stderr, flush=True)
        os._exit(cause.status)
