"""MLflow, on a server or in a local database."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from ptheta.files.atomic import make_folder
from ptheta.trackers.sink import Option, Place, package

LONGEST = 6000  # characters of the value of a parameter


class MLflow:
    """A run of MLflow: options as parameters, metrics with their steps, sample grids as artifacts,
    and results as metrics `results/NAME`.

    The server is that of the environment variable MLFLOW_TRACKING_URI, else `mlflow.db` in the
    folder, with artifacts next to it.
    """

    def __init__(self, place: Place) -> None:
        mlflow = package("mlflow", "mlflow")
        self.entities = package("mlflow.entities", "mlflow")
        uri, artifacts = os.environ.get("MLFLOW_TRACKING_URI"), None
        if not uri:
            folder = make_folder(place.folder).resolve()
            uri, artifacts = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
        self.client = mlflow.MlflowClient(tracking_uri=uri)
        known = self.client.get_experiment_by_name(place.project)
        experiment = (
            self.client.create_experiment(place.project, artifact_location=artifacts)
            if known is None
            else known.experiment_id
        )
        self.run = self.client.create_run(experiment, run_name=place.name).info.run_id

    def options(self, table: Mapping[str, Option]) -> None:
        for name, value in table.items():
            self.client.log_param(self.run, name, str(value)[:LONGEST])

    def values(self, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        metrics = [self.entities.Metric(name, value, now, step) for name, value in values.items()]
        self.client.log_batch(self.run, metrics=metrics)

    def picture(self, step: int, file: Path) -> None:
        self.client.log_artifact(self.run, str(file), "samples")

    def results(self, step: int, values: Mapping[str, float]) -> None:
        self.values(step, {f"results/{name}": value for name, value in values.items()})

    def close(self) -> None:
        self.client.set_terminated(self.run)
