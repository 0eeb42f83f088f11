"""`run`: the line suite → plan → execute → compare → report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distbench.cli.ahead import Horizon, Timed, budget_of, expectation, foresee
from distbench.cli.allowing import Allowed
from distbench.cli.engines import LOCAL, EngineWish, reserved
from distbench.cli.gating import Outputs, Terms, check_early, decided, publish
from distbench.cli.limiting import limited
from distbench.cli.output import err, out, print_json
from distbench.cli.reading import print_result, write_report
from distbench.compare.run import compare
from distbench.errors import DistbenchError, EnvironmentFault, ExitCode, RefusedError, RunError, UsageError
from distbench.execute.budget import note_left_out
from distbench.execute.kept import kept_words
from distbench.execute.reporter import TerminalReporter
from distbench.execute.run import Execution, Runner
from distbench.execute.start import begin, default_out, place_of
from distbench.executors.engine import Executor
from distbench.gate.sequential import run_until_decided
from distbench.plan.estimates.history import remember
from distbench.plan.expand import Cell, Plan, expand
from distbench.plan.resources import Reserve
from distbench.schema.result import Result
from distbench.schema.trusted import trusted_lines
from distbench.store.cache import Cache
from distbench.store.files import write_text
from distbench.store.run_dir import RunDir
from distbench.suite.bundled import resolve_suite
from distbench.suite.flags import suite_from_flags
from distbench.suite.load import LoadedSuite, digest_of, load_suite

DECIDED = {"PASS", "FAIL"}  # verdicts that no further cell is awaited for


@dataclass(frozen=True)
class Request:
    """What the command line asked for: a suite file, or a teacher with students and tasks."""

    suite: str | None
    sets: Sequence[str] | None = None
    teacher: str | None = None
    students: Sequence[str] | None = None
    tasks: Sequence[str] | None = None
    samples: int | None = None
    device: str | None = None
    trusted: Sequence[Path] | None = None
    cell_seconds: float | None = None
    cell_memory: str | None = None
    ahead: Horizon = field(default_factory=Horizon)
    new_run: bool = False
    allowed: Allowed = field(default_factory=Allowed)

    def load(self) -> LoadedSuite:
        """Return the validated suite, with the limits of this command line, and what it allows."""
        return self.allowed.within(limited(self._loaded(), self.cell_seconds, self.cell_memory))

    def place(self, out_dir: Path | None, loaded: LoadedSuite) -> Path:
        """Return the run's directory: `out_dir`, a new folder beside it where that is wanted, or one of our naming."""
        return place_of(out_dir, new_run=self.new_run) or default_out(loaded.suite.name)

    def words(self) -> list[str]:
        """Return the options that decide what is computed, for the command that goes on."""
        given = [("--set", each) for each in self.sets or ()]
        given += [("--device", self.device)] if self.device else []
        given += [("--trust-task-code", str(folder)) for folder in self.trusted or ()]
        given += [("--trust-remote-code", model) for model in self.allowed.code]
        given += [("--allow-pickle", model) for model in self.allowed.pickle]
        return [word for pair in given for word in pair]

    def _loaded(self) -> LoadedSuite:
        flags = self.teacher or self.students or self.tasks
        if self.suite is not None:
            if flags:
                raise UsageError("give a suite file, or --teacher, --student and --task; not both")
            return load_suite(resolve_suite(self.suite), self.sets or ())
        if not (self.teacher and self.students):
            raise UsageError("give a suite file, or --teacher and at least one --student")
        if self.sets:
            raise UsageError("--set overrides keys of a suite file, and there is none")
        suite = suite_from_flags(self.teacher, self.students, self.tasks or (), samples=self.samples)
        return LoadedSuite(suite, Path.cwd(), digest_of(suite), "")


def run_suite(
    request: Request,
    out_dir: Path | None,
    *,
    gate: Terms | None,
    as_json: bool,
    quiet: bool,
    verbose: bool = False,
    on: EngineWish = LOCAL,
) -> ExitCode:
    """Run everything and print the comparison; the exit code is that of the run, or of the gate where asked."""
    limit = request.ahead.max_seconds  # a wrong one is said before anything is read
    loaded = request.load()
    path = request.place(out_dir, loaded)
    if path.exists() and not path.is_dir():
        RunDir.prepare(path)  # refuses, before any model is resolved
    with on.engine() as engine:
        plan = expand(loaded.suite, loaded.directory, request.device, request.trusted or (), elsewhere=engine.elsewhere)
        if gate is not None:
            check_early(gate, plan)
        outlook = foresee(plan, path, request.ahead, elsewhere=engine.elsewhere)
        reserve = reserved(engine, plan, plan.cells, path, outlook.forecasts)
        run = RunDir.prepare(path)
        try:
            with run.lock():
                begin(plan, run, loaded.digest, ["distbench", *sys.argv[1:]])
                tell_place(out_dir, path, plan)
                timed = Timed(outlook, budget_of(outlook, limit))
                state = _execute(plan, run, engine.executor(run.path), reserve, timed, quiet=quiet)
                note_left_out(run, timed.budget)
                remember(Cache(), run)
                return _finish(run, state, timed, gate=gate, as_json=as_json, whole=verbose)
        except BaseException as error:
            if not isinstance(error, DistbenchError):
                kept = kept_words(run, plan.cells)
                err().print(f"{kept}; continue with: {_again(request, path, on)}", markup=False, soft_wrap=True)
            raise


def tell_place(out_dir: Path | None, path: Path, plan: Plan) -> None:
    """Say where a new run begins that is not where the command line said, and what will run that models brought."""
    if out_dir is not None and path != out_dir:
        err().print(f"new run: {path} ({out_dir} stays as it is)", markup=False, soft_wrap=True, highlight=False)
    for line in trusted_lines(((model.name, model.ref.trusted) for model in plan.models), ran=False):
        err().print(f"allowed: {line}", markup=False, soft_wrap=True, highlight=False)


def _again(request: Request, path: Path, on: EngineWish) -> str:
    """Return the command that goes on: in this place, with the same suite."""
    suite = [request.suite] if request.suite else ["…"]
    return shlex.join(["distbench", "run", *suite, "--out", str(path), *request.words(), *on.words()])


@contextmanager
def runner_of(
    plan: Plan, cells: list[Cell], run: RunDir, executor: Executor, reserve: Reserve, timed: Timed, *, quiet: bool
) -> Iterator[Runner]:
    """Give what runs `cells` of a plan in the order and the time that there is; meanwhile a person sees how it goes."""
    with TerminalReporter(err(), quiet=quiet) as reporter:
        if not quiet and (said := expectation(timed.outlook)):
            err().print(said, markup=False, soft_wrap=True)
        runner = Runner(timed.cells(cells), run, Cache(), executor, reporter, reserve, plan.suite.limits)
        runner.budget = timed.budget
        yield runner


def _execute(plan: Plan, run: RunDir, executor: Executor, reserve: Reserve, timed: Timed, *, quiet: bool) -> Execution:
    with runner_of(plan, plan.cells, run, executor, reserve, timed, quiet=quiet) as runner:
        runner.execute()
        if plan.suite.gate is not None and plan.suite.gate.sequential:
            run_until_decided(runner, run, plan)
        return runner.state


def _finish(run: RunDir, state: Execution, timed: Timed, *, gate: Terms | None, as_json: bool, whole: bool) -> ExitCode:
    """Compare, write the derived files, print. The report is written also where cells failed."""
    if timed.left_out:
        err().print(timed.words(run.path), markup=False, soft_wrap=True)
    try:
        result = compare(run)
    except RunError as error:
        if timed.left_out and not state.failed:
            return ExitCode.INCONCLUSIVE
        raise _to_blame(error, state) from None
    write_text(run.path / "result.json", result.model_dump_json(indent=2) + "\n")
    report = write_report(run.path, None, result).path
    if as_json:
        print_json(result)
    else:
        print_result(result, out(), whole=whole)
        out().print(f"report: {report.resolve().as_uri()}", markup=False, soft_wrap=True)
    if state.failed:
        err().print(f"{len(state.failed)} cells failed; logs are in {run.path / 'logs'}", markup=False, soft_wrap=True)
        return state.exit_code
    if gate is not None:
        return _decide(run, result, gate)
    return ExitCode.INCONCLUSIVE if timed.needed and result.verdict not in DECIDED else ExitCode.OK


def _to_blame(error: RunError, state: Execution) -> DistbenchError:
    """Return why there is nothing to compare: the first failure, with the exit code that all of them have."""
    if not state.failed:
        return error
    kind = {ExitCode.ENVIRONMENT: EnvironmentFault, ExitCode.REFUSED: RefusedError}.get(state.exit_code, RunError)
    return kind(f"{error.message}; the first failure: {next(iter(state.failed.values()))}")


def _decide(run: RunDir, result: Result, terms: Terms) -> ExitCode:
    """Exit as `gate` on this run would, and say so where a machine listens."""
    decision = decided(run.path, terms, result)
    publish(decision, Outputs(quiet=True))
    err().print(f"gate: exit code {decision.exit_code}: {decision.exit_reason}", markup=False, soft_wrap=True)
    return ExitCode(decision.exit_code)
