"""`show` of a run that has no evaluation or measurement: students that were only made, or work that failed before."""

from __future__ import annotations

from rich.text import Text

from distbench.cli.output import print_json
from distbench.cli.wishes import Wish, print_parts, unknown
from distbench.compare.evidence import Evidence
from distbench.compare.run import cell_summaries
from distbench.errors import RunError, UsageError
from distbench.report.terminal.model import made_parts
from distbench.report.terminal.work import cells_grid


def evaluated(evidence: Evidence) -> bool:
    """Say whether anything of a run can be compared."""
    return any(record.result.kind != "make" for record in evidence.records.values())


def show_made(evidence: Evidence, wish: Wish, *, as_json: bool) -> None:
    """Print the cells of a run, or one of its models. Raises RunError for what needs a comparison."""
    if wish.model is not None:
        _show_model(evidence, wish.model, as_json=as_json)
        return
    if wish.student or wish.task or wish.samples:
        raise RunError(f"{evidence.run.path}: no evaluation or measurement finished; there is nothing to compare")
    cells = cell_summaries(evidence)
    if as_json:
        print_json([cell.model_dump(mode="json") for cell in cells])
    else:
        print_parts([*cells_grid(cells), Text("no evaluation or measurement finished: there is nothing to compare")])


def _show_model(evidence: Evidence, name: str, *, as_json: bool) -> None:
    models = evidence.manifest.models
    planned = next((each for each in models if each.name == name), None)
    if planned is None:
        raise UsageError(unknown("model", name, [each.name for each in models]))
    footprint, training = evidence.footprint(planned), evidence.training(planned)
    if as_json:
        made = {
            "footprint": footprint.model_dump(mode="json"),
            "training": training and training.model_dump(mode="json"),
        }
        print_json({**planned.model_dump(mode="json"), **made})
    else:
        print_parts(made_parts(planned, footprint, training))
