"""The `sweep` function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import nn

from ptheta import plugins
from ptheta.api.training import named, train
from ptheta.compute.streams import undisturbed
from ptheta.errors import PthetaError
from ptheta.files.paths import expand
from ptheta.runs import jobs as processes
from ptheta.runs import sweeps
from ptheta.runs.plan import make
from ptheta.runs.plugged import used
from ptheta.training import launchers

SUBMITTED = "submitit"  # folder for the scripts of a cluster


@undisturbed()
def sweep(
    model: str | type[nn.Module] | nn.Module,
    data: str | Path,
    out: str | Path,
    settings: Sequence[Mapping[str, object]],
    *,
    seeds: int = 1,
    recipe: str = "default",
    jobs: int = 1,
    cluster: str | None = None,
    cluster_options: Mapping[str, object] | None = None,
    **options: object,
) -> sweeps.Sweep:
    """Train a model with each of several settings and each of the seeds 0, 1, ...

    Runs are written to out/NAME=VALUE,...,seed=N. Finished runs are kept, so a sweep can be
    interrupted and called again, and several programs can share it: each run is trained by the one
    that holds the lock of its folder. All settings are trained with seed 0 first, then all with
    seed 1, and so on. A run that fails (a loss that is not finite) is recorded, and the sweep
    continues. `ptheta.compare(out)` can be called while it goes on, for the runs that have ended.

    Args:
        model: as for `train`
        data: name of a data set, or a path
        out: folder to write the runs into
        settings: option tables, such as `ptheta.runs.sweeps.grid` returns
        seeds: number of seeds
        recipe: one of the model's recipes
        jobs: number of runs trained at the same time; with more than one, each is a process of its
            own, with its share of the cores or a GPU of its own, and its output is in out/logs
        cluster: submit each run as a job through submitit: "slurm", or "local" to try it here
        cluster_options: parameters of submitit, such as {"slurm_partition": "gpu",
            "timeout_min": 60}
        options: options shared by all runs

    Raises:
        PthetaError: for invalid settings, before any training
        Interrupted: after SIGINT, SIGTERM or SIGHUP, once the runs have written their checkpoints
    """
    if (place := launchers.here()) is not None:
        raise PthetaError(
            f"{place.launcher} has started {place.size} processes for one run, and a sweep has "
            "several: start the sweep once"
        )
    if jobs < 1:
        raise PthetaError(f"jobs = {jobs}: give at least one")
    if cluster_options and cluster is None:
        raise PthetaError("cluster options need a cluster: name one with --cluster")
    trainings = sweeps.Trainings(named(model), data, settings, seeds, recipe, options)
    if jobs == 1 and cluster is None:
        return sweeps.sweep(sweeps.in_turn(train), trainings, out)
    _check_importable(trainings)
    if cluster is None:
        return sweeps.sweep(sweeps.as_jobs(partial(processes.here, at_once=jobs)), trainings, out)
    submit = partial(
        processes.on_cluster,
        at_once=jobs,
        cluster=cluster,
        options=cluster_options or {},
        folder=expand(out).resolve() / SUBMITTED,
    )
    return sweeps.sweep(sweeps.as_jobs(submit), trainings, out)


def _check_importable(trainings: sweeps.Trainings) -> None:
    """Raises PthetaError for entries of the running program, which other processes lack."""
    trainings.check()
    for setting in trainings.settings:
        asked = {**trainings.options, **setting}
        for entry in used(make(trainings.model, trainings.data, asked, trainings.recipe)):
            if not entry.origin.package and entry.origin.module not in plugins.named():
                raise PthetaError(
                    f"jobs need the {entry} in a module that they can import: name it with "
                    "--plugin (or PTHETA_PLUGINS), or use one job"
                )
