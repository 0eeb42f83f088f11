"""`plan --format`: a run directory that holds the plan, and what another scheduler needs to run it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench.cli.output import err, out, print_json
from distbench.cli.running import Request
from distbench.errors import UsageError, did_you_mean
from distbench.execute.run import reusable
from distbench.execute.start import begin
from distbench.plan.capabilities import variables_of
from distbench.plan.estimates.forecasts import Forecaster
from distbench.plan.estimates.history import read_history
from distbench.plan.expand import Plan, expand
from distbench.plan.resources import resources_of
from distbench.schedulers.batches import Prepared, batches_of
from distbench.schedulers.document import plan_document
from distbench.schedulers.kubernetes import kubernetes_files
from distbench.schedulers.options import KubernetesOptions, Options, SlurmOptions, options_of, sbatch_words
from distbench.schedulers.reserving import with_memory
from distbench.schedulers.slurm import slurm_files
from distbench.schedulers.stages import Cell, stages_of
from distbench.schema.cell import models_of
from distbench.schema.forecast import CellForecast
from distbench.store.cache import Cache
from distbench.store.files import disk_faults, write_text
from distbench.store.run_dir import RunDir

FORMATS: dict[str, type[Options]] = {"slurm": SlurmOptions, "kubernetes": KubernetesOptions, "json": Options}


@dataclass(frozen=True)
class Wish:
    """What the command line asked for."""

    form: str
    options: Sequence[str] = ()
    sbatch: Sequence[str] = ()

    def checked(self) -> tuple[Options, dict[str, list[str]]]:
        """Return the options of the format, and sbatch's."""
        if self.form not in FORMATS:
            known = ", ".join(FORMATS)
            raise UsageError(f"--format {self.form[:80]!r} is none of {known}{did_you_mean(self.form, FORMATS)}")
        if self.sbatch and self.form != "slurm":
            raise UsageError("--sbatch is for --format slurm")
        return options_of(FORMATS[self.form], self.options), sbatch_words(self.sbatch)


def write_jobs(request: Request, wish: Wish, out_dir: Path | None, *, as_json: bool) -> None:
    """Prepare the run directory and write, or print, its jobs. Nothing runs."""
    options, words = wish.checked()
    if out_dir is None:
        raise UsageError(f"--format {wish.form} prepares a run directory for the jobs: name it with --out")
    if request.ahead.max_time is not None or request.ahead.probe_seconds is not None:
        raise UsageError("--max-time and --probe are about this machine; the jobs of --format run on others")
    loaded = request.load()
    plan = expand(loaded.suite, loaded.directory, request.device, request.trusted or (), elsewhere=True)
    _check_one_pass(plan)
    path = out_dir.absolute()
    forecast = _forecast(plan, path, request.ahead.history)
    wanted = with_memory(resources_of(plan), forecast)
    stages = stages_of(plan.cells, options.chunk)
    _files(
        wish.form, Prepared(path, plan.suite.name, Path.cwd(), stages, batches_of(stages, wanted, ())), options, words
    )
    run = RunDir.prepare(path)
    with run.lock():
        begin(plan, run, loaded.digest, ["distbench", *sys.argv[1:]])
        done = _adopt(plan, run)
        prepared = Prepared(
            path, plan.suite.name, Path.cwd(), stages, batches_of(stages, wanted, done), _variables(plan)
        )
        files = _files(wish.form, prepared, options, words)
        _write(run, wish.form, files)
    if wish.form == "json" or as_json:
        print_json(plan_document(prepared, options, forecast))
    else:
        _tell(plan, prepared, path / wish.form, wish.form)


def _forecast(plan: Plan, path: Path, history: Sequence[Path]) -> Callable[[Cell], CellForecast]:
    """Return what says what a cell will need, from the records of the cache, of this run and of those named."""
    cache = Cache()
    rows = read_history(cache, [*history, *([path] if (path / "manifest.json").is_file() else [])])
    forecaster, known = Forecaster(plan.cells, rows, [cache.root / "cells", path / "cells"]), dict[str, CellForecast]()

    def forecast(cell: Cell) -> CellForecast:
        if cell.id not in known:
            known[cell.id] = forecaster.forecast(cell)
        return known[cell.id]

    return forecast


def _check_one_pass(plan: Plan) -> None:
    if plan.suite.gate is not None and plan.suite.gate.sequential:
        raise UsageError(
            "gate.sequential decides after each part what is asked next, which job scripts written beforehand cannot; "
            "use `distbench run`, or --set gate.sequential=false"
        )


def _adopt(plan: Plan, run: RunDir) -> set[str]:
    """Take what the cache has into the run; return the cells that are finished."""
    cache = Cache()
    done, cached = reusable(plan.cells, run, cache)
    for cell_id in cached:
        run.adopt(cell_id, cache.path("cells", cell_id))
    return done | cached


def _variables(plan: Plan) -> frozenset[str]:
    refs = [ref for cell in plan.cells for ref in models_of(cell)]
    return frozenset().union(*(variables_of(ref.use, ref.options) for ref in refs))


def _files(form: str, prepared: Prepared, options: Options, words: dict[str, list[str]]) -> dict[str, str]:
    if isinstance(options, SlurmOptions):
        return slurm_files(prepared, options, words)
    if isinstance(options, KubernetesOptions):
        return kubernetes_files(prepared, options)
    return {}


def _write(run: RunDir, form: str, files: dict[str, str]) -> None:
    """Write the files into the run's folder of that name; those of an earlier plan go."""
    if not files:
        return
    folder = run.path / form
    with disk_faults(folder):
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        for old in [*folder.glob("*.yaml"), *folder.glob("*.sh")]:
            old.unlink()
    for name, text in files.items():
        write_text(folder / name, text)


def _tell(plan: Plan, prepared: Prepared, folder: Path, form: str) -> None:
    """Say what was written and how it is started."""
    say: Callable[[str], Any] = lambda line: out().print(line, markup=False, soft_wrap=True, highlight=False)  # noqa: E731
    settings = plan.chosen.settings
    jobs = sum(len(batch.indexes) for batch in prepared.batches)
    say(f"{plan.suite.name}: {len(prepared.cells)} cells, {_counted(jobs, 'job')} to run; {settings.device} "
        f"({plan.chosen.reason}), {settings.dtype}, {_counted(settings.threads or 1, 'thread')} a cell")  # fmt: skip
    for batch in prepared.batches:
        more = ", each alone on its node" if batch.resources.alone else ""
        gpus = f" and {_counted(batch.gpus, 'GPU')}" if batch.gpus else ""
        memory = f", {batch.resources.memory / 2**30:.0f} GiB" if batch.resources.memory else ""
        wanted = _counted(batch.cpus, "CPU") + gpus + memory + more
        say(f"  {batch.stage.name}: {_counted(len(batch.indexes), 'job')} with {wanted}")
    if plan.suite.threads is None:
        err().print("warning: the suite has no 'threads': cells take as many as this machine has cores", markup=False)
    if prepared.variables:
        named = ", ".join(sorted(prepared.variables))
        err().print(f"warning: the jobs need the environment variables {named}", markup=False, soft_wrap=True)
    say(f"start it with: {shlex.join(['bash', str(folder / ('submit.sh' if form == 'slurm' else 'apply.sh'))])}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
