"""A comparison as runs of Weights & Biases: one a student, in a group; the documents as an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from distbench.exports.rows import made_folder
from distbench.exports.tracking import Tracked, accepted, foreign, tracked, write_documents
from distbench.protocols.export import Exported, Source, Writes
from distbench.report.visible import one_line
from distbench.schema.strict import Strict
from distbench.store.leftovers import temporary_folder

_TYPE = "comparison"


class Wandb:
    """`--format wandb`: offline unless it is told otherwise; `wandb sync` sends what lies in the folder."""

    class Options(Strict):
        """Options of the format."""

        project: str = Field(
            "distbench", pattern=r"^[A-Za-z0-9._ -]{1,128}$", description="the project that the runs belong to"
        )
        entity: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,128}$", description="user or team")
        mode: Literal["offline", "online"] = Field("offline", description="online: send it at once")

    summary: ClassVar[str] = "Weights & Biases: numbers, settings and documents, a run a student"
    writes: ClassVar[Writes] = "service"
    requires: ClassVar[tuple[str, ...]] = ("wandb",)

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Log the comparison; numbers that are not known are named in the settings, never logged as 0."""
        folder = made_folder(to or Path()).resolve()
        with foreign("wandb"), temporary_folder("wandb") as name:
            files = write_documents(source, Path(name))
            for number, each in enumerate(tracked(source.result)):
                self._log(each, source, folder, files if number == 0 else [])
        notes = ["send it with: wandb sync"] if self.options.mode == "offline" else []
        return Exported(
            place=str(folder / "wandb"), notes=[f"{each} {folder / 'wandb'}/offline-run-*" for each in notes]
        )

    def _log(self, found: Tracked, source: Source, folder: Path, files: list[Path]) -> None:
        import wandb

        config = {**found.params, "missing": found.missing}
        about = accepted(
            wandb.init,
            project=self.options.project,
            entity=self.options.entity,
            dir=str(folder),
            name=found.name,
            group=one_line(source.result.run, 120),
            job_type=found.tags["role"],
            tags=[found.tags["verdict"]],
            notes=found.tags.get("verdict_reason"),
            mode=self.options.mode,
            config=config,
        )
        run = wandb.init(**about)
        run.summary.update({**found.metrics, **found.tags})
        if files:
            run.log_artifact(self._artifact(wandb, files))
        run.finish()

    @staticmethod
    def _artifact(wandb: Any, files: list[Path]) -> Any:
        artifact = wandb.Artifact("distbench-comparison", type=_TYPE)
        for path in files:
            artifact.add_file(str(path), name=path.name)
        return artifact
