"""`verify`: every check of a run, in an order in which the first finding explains the later ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distbench import __version__
from distbench.compare.sides import forget
from distbench.errors import DistbenchError, ExitCode, RefusedError
from distbench.schema.verification import Check, Depth, RunVerification, Soundness, Verification
from distbench.store.run_dir import RunDir
from distbench.verify import (
    answers,
    copies,
    coverage,
    hashes,
    measurements,
    outputs,
    records,
    samples,
    structure,
    trusted,
)
from distbench.verify.looking import Kind, Look, worst
from distbench.verify.subject import Subject

AGAIN = "take the run from where it was made, or run it again with another --out: finished evaluations are reused"
DELETE = "delete the cell's folder and run again with the same --out: only that cell is run again"
LOOK = "look at the two records (`distbench show RUN --cell ID`), and evaluate both models again without the cache"
ANEW = "write it anew: run again with the same --out, or `distbench compare RUN --json` and `distbench report RUN`"

CHECKS = (
    Kind("structure.manifest", "the manifest names every model and cell once, as the suite does", "manifest", AGAIN,
         structure.manifest),
    Kind("structure.plan", "every cell of the manifest is planned under its own id", "cells", AGAIN, structure.plan),
    Kind("structure.folders", "every finished cell is one of the manifest's, and nothing is a link", "finished cells",
         AGAIN, structure.folders),
    Kind("hashes.suite", "the suite is the one that the run began with", "suite", AGAIN, hashes.suite),
    Kind("hashes.ids", "every id is the hash of what decides the cell's numbers", "cells", AGAIN, hashes.ids),
    Kind("hashes.seals", "every file of every finished cell is the one that was sealed", "finished cells", DELETE,
         hashes.seals),
    Kind("hashes.weights", "the weights of every model made here have the digest of its record", "models", DELETE,
         hashes.weights),
    Kind("schema.records", "every record and cell can be read by this version", "records", DELETE, records.readable),
    Kind("schema.samples", "every samples.parquet has the columns of this version", "files", DELETE, samples.columns),
    Kind("coverage.plan", "every model is asked every task and every student is measured, as the suite says",
         "pairs", AGAIN, coverage.plan),
    Kind("coverage.cells", "every planned cell is finished", "cells", "run again with the same --out", coverage.cells),
    Kind("coverage.journal", "what the journal says is done is there, and the other way round", "events",
         "run again with the same --out: what is missing is run again", coverage.journal),
    Kind("records.cells", "every record is about the cell in whose folder it lies", "records", DELETE, records.cells),
    Kind("records.settings", "every cell ran with the device, dtype, threads and seed that were planned", "records",
         DELETE, records.settings),
    Kind("records.models", "the models are the same in manifest, plan and suite", "models", AGAIN, records.models),
    Kind("samples.rows", "every document is there once, and numbers and means are those of the records", "samples",
         DELETE, samples.rows),
    Kind("samples.answers", "the digest of all answers is that of the samples", "evaluations", DELETE,
         samples.answers),
    Kind("samples.scores", "every 0/1 score says whether the answer beside it is right", "samples", LOOK,
         answers.scores),
    Kind("samples.documents", "every student was asked what its teacher was asked", "comparisons",
         "evaluate both models again on the same data", answers.documents),
    Kind("measurements.values", "every reading belongs to a model, a launch and a round", "readings", DELETE,
         measurements.values),
    Kind("measurements.clocks", "what was timed fits into the time that its cell took", "records", DELETE,
         measurements.clocks),
    Kind("copies.answers", "no two models with different weights gave the same answers", "evaluations", LOOK,
         copies.answers),
    Kind("copies.times", "no two models have the same readings of a clock", "series", LOOK, copies.times),
    Kind("surroundings", "all cells ran on one machine with the same versions", "records",
         "compare times within one measurement only; for equal scores, run all of it in one environment",
         coverage.surroundings),
    Kind("provenance", "distbench asked the models itself, and knows what they are", "models",
         "run the suite with distbench where it matters", coverage.provenance),
    Kind("trusted", "code and pickles that were let in are those that were planned, and recorded", "models",
         "read the code where you do not know it; where something differs, take the run from where it was made",
         trusted.found),
    Kind("outputs.result", "result.json is what compare computes from these cells", "document", ANEW, outputs.result,
         full=True),
    Kind("outputs.report", "report.html shows what compare computes from these cells", "page", ANEW, outputs.page,
         full=True),
)  # fmt: skip


# What foreign content can make a check raise; RuntimeError holds too deep a recursion and what pyarrow does not know.
FOREIGN = (
    DistbenchError, OSError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RuntimeError,
)  # fmt: skip


def verify(paths: Sequence[Path], depth: Depth = "full") -> Verification:
    """Check runs, each from its directory alone.

    Raises UsageError where a path is no run; whatever is wrong inside a run is a finding.
    """
    directories = [(path, RunDir.existing(path)) for path in paths]
    found = [verify_run(run, path, depth) for path, run in directories]
    verdict = worst([each.verdict for each in found])
    return Verification(distbench=__version__, verdict=verdict, exit_code=int(exit_of(verdict)), runs=found)


def exit_of(verdict: Soundness) -> ExitCode:
    """Return 6 for damage, 3 for evidence that may not mean what it seems to, 0 else."""
    return {"damaged": ExitCode.REFUSED, "suspicious": ExitCode.INCONCLUSIVE}.get(verdict, ExitCode.OK)


def verify_run(run: RunDir, path: Path, depth: Depth) -> RunVerification:
    """Check one run. Where its manifest cannot be read nothing else can be checked, and says so."""
    forget()
    kinds = [kind for kind in CHECKS if depth == "full" or not kind.full]
    try:
        subject = Subject(run, depth)
    except RefusedError as error:
        checks = [_unread(kind, str(error)) for kind in kinds]
        return RunVerification(path=str(path), run=None, depth=depth, verdict="damaged", checks=checks)
    checks = [_checked(kind, subject) for kind in kinds]
    verdict = worst([check.verdict for check in checks])
    if verdict == "not_checked":  # what cannot be known stands beside its check; what was checked is sound
        verdict = "ok"
    return RunVerification(path=str(path), run=subject.manifest.run, depth=depth, verdict=verdict, checks=checks)


def _unread(kind: Kind, why: str) -> Check:
    look = Look(note="the manifest cannot be read")
    if kind is CHECKS[0]:
        look.damaged("manifest.json", why)
    return kind.done(look)


def _checked(kind: Kind, subject: Subject) -> Check:
    """Run one check. Foreign content that no check thought of is a finding, never a crash."""
    look = Look()
    try:
        kind.look(subject, look)
    except FOREIGN as error:
        text = str(error).splitlines()[0][:200] if str(error) else ""
        look.damaged("run", f"this check ended early: {type(error).__name__}: {text}")
    return kind.done(look)
