"""`finish`: what comes after the last cell of a run whose cells were run one by one."""

from __future__ import annotations

from pathlib import Path

from distbench.cli.celling import planned_run
from distbench.cli.gating import Terms, decided
from distbench.cli.output import err, out, print_json
from distbench.cli.reading import print_result, write_report
from distbench.compare.run import compare
from distbench.errors import ExitCode, RunError
from distbench.store.files import write_text


def finish(path: Path, *, gate: Terms | None, as_json: bool) -> ExitCode:
    """Compare, write result.json and report.html as `run` does; exit 4 where cells are missing, or by the verdict."""
    run, manifest = planned_run(path)
    with run.lock():
        result = compare(run)
        write_text(path / "result.json", result.model_dump_json(indent=2) + "\n")
        report = write_report(path, None, result).path
    if as_json:
        print_json(result)
    else:
        print_result(result, out())
        out().print(f"report: {report.resolve().as_uri()}", markup=False, soft_wrap=True)
    if missing := [cell.title for cell in manifest.cells if not run.is_done(cell.id)]:
        raise RunError(f"{len(missing)} of {len(manifest.cells)} cells are not finished, such as '{missing[0]}'")
    if gate is None:
        return ExitCode.OK
    decision = decided(path, gate, result)
    err().print(f"gate: exit code {decision.exit_code}: {decision.exit_reason}", markup=False, soft_wrap=True)
    return ExitCode(decision.exit_code)
