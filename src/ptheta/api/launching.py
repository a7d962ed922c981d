"""The `launch` function: a job script that trains one run on several machines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from ptheta.config import brief
from ptheta.errors import PthetaError, unknown

SCHEDULERS = ("slurm",)
TIME = re.compile(r"(?:\d{1,3}-)?\d{1,3}(?::\d{2}){0,2}", re.ASCII)  # as sbatch reads it
MOST = 100_000  # machines, and processes of a machine
DEVICE, ON_GPU = "--device", "cuda"  # option of `ptheta train`
OWN = ("--processes", "--dry-run")  # options of `ptheta train` that a job cannot have
SCRIPT = """\
#!/bin/bash
{directives}

# Written by `ptheta launch slurm`. {tasks} train one run: srun tells each its place.
# USR1 comes {grace} s before the time is over: the run writes a checkpoint and ends, and the job is
# queued again, to go on from there.
set -u
{setup}
srun {options} {command} &
step=$!
preempted=''
trap 'preempted=yes; kill -USR1 "$step"' USR1
while true; do # a signal ends the waiting, not the step
    wait "$step"
    status=$?
    kill -0 "$step" 2> /dev/null || break
done
if [ -n "$preempted" ] && [ "$status" -gt 128 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
"""


def launch(
    scheduler: str,
    command: Sequence[str],
    *,
    nodes: int = 1,
    gpus: int = 0,
    tasks: int | None = None,
    cpus: int | None = None,
    time: str = "1:00:00",
    grace: int = 120,
    setup: Sequence[str] = (),
    directives: Sequence[str] = (),
) -> str:
    """A job script that trains one run with the processes of several machines.

    Shortly before its time is over the run writes a checkpoint, and the job queues itself again
    and goes on from it. The folder of the run must be on a disk that the first machine keeps.

    Args:
        scheduler: "slurm"
        command: what follows `ptheta train`: the model and its options
        nodes: number of machines
        gpus: GPUs of each machine, on which the processes then train (`--device cuda`)
        tasks: processes of each machine; by default one for each GPU, else one
        cpus: cores of each process
        time: limit of each part of the job, as sbatch reads it
        grace: seconds before that limit in which the checkpoint is written
        setup: lines of shell before the training, such as "source .venv/bin/activate"
        directives: further options of sbatch, such as "--partition=gpu"

    Returns:
        The text of the script.

    Raises:
        PthetaError: for invalid values, or options that a job cannot have
    """
    if scheduler not in SCHEDULERS:
        raise unknown("scheduler", scheduler, SCHEDULERS)
    words = _with_resume(_on_gpus(_checked(command), gpus))
    each = max(1, gpus) if tasks is None else tasks
    for name, value, least in (
        *(("--nodes", nodes, 1), ("--gpus", gpus, 0), ("--tasks", each, 1)),
        *(("--cpus", cpus or 1, 1), ("--grace", grace, 1)),
    ):
        if not least <= value <= MOST:
            raise PthetaError(f"{name} {value}: want a number from {least} to {MOST}")
    _check_texts(time, setup, directives)
    told = {
        "job-name": re.sub(r"[^\w.-]", "-", words[0]),
        "nodes": nodes,
        "ntasks-per-node": each,
        **({"gpus-per-node": gpus} if gpus else {}),
        **({"cpus-per-task": cpus} if cpus else {}),
        "time": time,
        "signal": f"B:USR1@{grace}",
        "open-mode": "append",
    }
    options = [*(f"--{name}={value}" for name, value in told.items()), "--requeue", *directives]
    return _script(words, options, nodes * each, cpus, grace, setup)


def _script(
    words: Sequence[str],
    options: Sequence[str],
    tasks: int,
    cpus: int | None,
    grace: int,
    setup: Sequence[str],
) -> str:
    """The text of the script. options: of sbatch; tasks: processes of all machines"""
    # srun of 22.05 on does not inherit the number of cores
    of_srun = ["--kill-on-bad-exit=0", *([f"--cpus-per-task={cpus}"] if cpus else [])]
    return SCRIPT.format(
        directives="\n".join(f"#SBATCH {option}" for option in options),
        tasks=f"{tasks} processes" if tasks > 1 else "One process",
        grace=grace,
        setup="".join(f"{line}\n" for line in setup),
        options=shlex.join(of_srun),
        command=shlex.join(["ptheta", "train", *words]),
    )


def _check_texts(time: str, setup: Sequence[str], directives: Sequence[str]) -> None:
    """Raises PthetaError for a time, a line of shell or an option that a script cannot have."""
    if TIME.fullmatch(time) is None:
        raise PthetaError(f"--time {brief(time)}: want minutes, H:MM:SS or D-H:MM:SS")
    for line in (*setup, *directives):
        if not line.isprintable():
            raise PthetaError(f"{brief(line)}: want one line of printable characters")
    for option in directives:
        if not option.startswith("-"):
            raise PthetaError(f"--sbatch {brief(option)}: want an option, such as --partition=gpu")


def _on_gpus(words: list[str], gpus: int) -> list[str]:
    """The words with `--device cuda` if GPUs are asked for, so that a job without them fails and
    does not train on the CPU. Raises PthetaError for another device."""
    if not gpus:
        return words
    ways = (word.partition("=") for word in words)
    given = [
        value or after
        for (name, _, value), after in zip(ways, [*words[1:], ""], strict=True)
        if name == DEVICE
    ]
    if not given:
        return [*words, DEVICE, ON_GPU]
    if given[-1] != ON_GPU:
        raise PthetaError(
            f"--gpus {gpus} and {DEVICE} {brief(given[-1]) or repr('')}: the processes train on "
            f"the GPUs that are asked for: leave out {DEVICE}, or --gpus to train without them"
        )
    return words


def _checked(command: Sequence[str]) -> list[str]:
    """The words after `ptheta train`. Raises PthetaError for some that a job cannot have."""
    words = list(command)
    if words[:1] in (["ptheta"], ["train"]):
        raise PthetaError(
            f"{words[0]} is no model: give what follows `ptheta train`, such as vae --data digits "
            "--out runs/vae"
        )
    if not words or not words[0].strip() or words[0].startswith("-"):
        raise PthetaError(
            "no model to train: give what follows `ptheta train`, such as vae --data digits --out "
            "runs/vae"
        )
    for word in words:
        if word.partition("=")[0] in OWN:
            raise PthetaError(
                f"{word.partition('=')[0]} is not for a job: --nodes, --gpus and --tasks say how "
                "many processes there are"
            )
        if not word.isprintable():
            raise PthetaError(f"{brief(word)}: want printable characters")
    return words


def _with_resume(words: list[str]) -> list[str]:
    """The words with --resume, which a job needs when it is queued again."""
    return words if "--resume" in words else [*words, "--resume"]
