"""python -m ptheta.cli.job: does one training of a sweep; see `ptheta.runs.jobs`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from ptheta.cli import main
from ptheta.errors import CannotWrite, InUse


def work() -> int:
    """Reads the job and does it. Returns the exit status."""
    import ptheta
    from ptheta import plugins
    from ptheta.runs.jobs import CANNOT_WRITE, IN_USE, Job

    job = Job.of_line(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for module in job.plugins:
        plugins.use(module)
    try:
        options: dict[str, Any] = dict(job.options)
        ptheta.train(job.model, job.data, job.out, recipe=job.recipe, resume=True, **options)
    except (InUse, CannotWrite) as error:
        print(f"ptheta: {error}", file=sys.stderr)
        return IN_USE if isinstance(error, InUse) else CANNOT_WRITE
    return 0


def _end_with_parent() -> None:
    """Asks this process to end once its standard input is closed."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(work=work)
