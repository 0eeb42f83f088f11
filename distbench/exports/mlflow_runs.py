"""A comparison as runs of MLflow: one for the whole with the documents, and one below it for each student."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from distbench.errors import UsageError
from distbench.exports.rows import made_folder
from distbench.exports.tracking import (
    Tracked,
    foreign,
    keys,
    missing_json,
    tracked,
    without_credentials,
    write_documents,
)
from distbench.protocols.export import Exported, Source, Writes
from distbench.report.visible import one_line, visible
from distbench.schema.strict import Strict
from distbench.store.leftovers import temporary_folder

_ALLOWED = r"\w\-. :"
_LONGEST_KEY, _LONGEST_VALUE = 250, 500  # the least of what its versions and stores take
_BATCH = 100  # entries of one request: the least that any kind takes
_ALLOW = "MLFLOW_ALLOW_FILE_STORE"
_PARENT = "mlflow.parentRunId"


class MLflow:
    """`--format mlflow`: to the tracking server of `--set uri=…` or MLFLOW_TRACKING_URI, or into a folder."""

    class Options(Strict):
        """Options of the format."""

        uri: str | None = Field(
            None, min_length=1, max_length=2_000, description="tracking URI, such as http://host:5000 or sqlite:///m.db"
        )
        experiment: str | None = Field(
            None, min_length=1, max_length=200, description="name of the experiment; else distbench/SUITE"
        )

    summary: ClassVar[str] = "MLflow: metrics, params, tags and documents, a run a student"
    writes: ClassVar[Writes] = "service"
    requires: ClassVar[tuple[str, ...]] = ("mlflow",)

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Log the comparison; numbers that are not known are named in a tag, never logged as 0."""
        uri, notes = self._uri(to)
        runs = tracked(source.result)
        name = one_line(self.options.experiment or f"distbench/{source.result.suite}", 200)
        with foreign(f"MLflow at {uri}"), temporary_folder("mlflow") as folder:
            from mlflow.tracking import MlflowClient

            client = MlflowClient(tracking_uri=uri)
            found = client.get_experiment_by_name(name)
            experiment = found.experiment_id if found else client.create_experiment(name)
            whole = _whole(client, experiment, source)
            for path in write_documents(source, Path(folder)):
                client.log_artifact(whole, str(path))
            for each in runs:
                _log(client, experiment, each, whole)
            client.set_terminated(whole)
        return Exported(place=f"{without_credentials(uri)} experiment {name!r} run {whole}", notes=notes)

    def _uri(self, to: Path | None) -> tuple[str, list[str]]:
        if self.options.uri and to:
            raise UsageError("name a tracking URI with --set uri=…, or a folder with --out, not both")
        if to is not None:
            # MLflow 3 opens a folder only where this says so; whoever names a folder has decided that.
            os.environ.setdefault(_ALLOW, "true")
            uri = made_folder(to).resolve().as_uri()
            return uri, [f"MLflow 3 opens such a folder only with {_ALLOW}=true in its environment"]
        uri = self.options.uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        if not uri:
            raise UsageError("name where: --out FOLDER, --set uri=…, or MLFLOW_TRACKING_URI")
        return uri, []


def _whole(client: Any, experiment: str, source: Source) -> str:
    """Make the run of the whole comparison and return its id."""
    result = source.result
    tags = {
        "distbench.verdict": result.verdict,
        "distbench.verdict_reason": visible(result.verdict_reason)[:_LONGEST_VALUE],
        "distbench.run": visible(result.run)[:_LONGEST_VALUE],
        "distbench.version": visible(result.distbench)[:_LONGEST_VALUE],
    }
    made = client.create_run(experiment, run_name=one_line(result.run, 120), tags=tags)
    return str(made.info.run_id)


def _log(client: Any, experiment: str, found: Tracked, whole: str) -> None:
    """Log one student below the whole, in batches that every store takes."""
    from mlflow.entities import Metric, Param

    tags = {f"distbench.{name}": value[:_LONGEST_VALUE] for name, value in found.tags.items()}
    tags |= {"distbench.missing": missing_json(found)[:5_000], _PARENT: whole}
    run = client.create_run(experiment, run_name=found.name, tags=tags).info.run_id
    now = int(time.time() * 1000)
    names = keys([*found.metrics], _ALLOWED, _LONGEST_KEY)
    metrics = [Metric(names[name], value, now, 0) for name, value in found.metrics.items()]
    named = keys([*found.params], _ALLOWED, _LONGEST_KEY)
    params = [Param(named[name], value[:_LONGEST_VALUE]) for name, value in found.params.items()]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run, metrics=metrics[start : start + _BATCH])
    for start in range(0, len(params), _BATCH):
        client.log_batch(run, params=params[start : start + _BATCH])
    client.set_terminated(run)
