"""Commands that work: make, evaluate, measure. Each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distbench.cli.app import app
from distbench.cli.commands.options import (
    AllowPickle,
    Baseline,
    ByVerdict,
    CachePlace,
    CellMemory,
    CellSeconds,
    Debug,
    Device,
    Engine,
    Force,
    History,
    Json,
    MaxTime,
    NewRun,
    NoProgress,
    OnInconclusive,
    Out,
    PolicyFile,
    RayAddress,
    Retries,
    Run,
    Samples,
    Sets,
    Students,
    SuiteArg,
    Tasks,
    Teacher,
    Trust,
    TrustCode,
    Whole,
)


@app.command()
def run(
    suite: SuiteArg = None,
    out: Out = None,
    new_run: NewRun = False,
    sets: Sets = None,
    teacher: Teacher = None,
    students: Students = None,
    tasks: Tasks = None,
    samples: Samples = None,
    device: Device = None,
    trust_task_code: Trust = None,
    trust_remote_code: TrustCode = None,
    allow_pickle: AllowPickle = None,
    gate: ByVerdict = False,
    policy: PolicyFile = None,
    baseline: Baseline = None,
    on_inconclusive: OnInconclusive = None,
    cell_seconds: CellSeconds = None,
    cell_memory: CellMemory = None,
    max_time: MaxTime = None,
    history: History = None,
    force: Force = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the plan and stop")] = False,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    retries: Retries = None,
    cache: CachePlace = None,
    json: Json = False,
    quiet: NoProgress = False,
    verbose: Whole = False,
    debug: Debug = False,
) -> None:
    """Run a suite: make the students, evaluate, measure, compare, report. Running again with the same --out resumes."""
    from distbench.cli.ahead import Horizon
    from distbench.cli.allowing import Allowed
    from distbench.cli.engines import EngineWish, share_cache
    from distbench.cli.gating import terms_of_run
    from distbench.cli.running import Request, run_suite

    share_cache(cache)
    ahead = Horizon(history or (), max_time=max_time, force=force)
    flags = (teacher, students, tasks, samples)
    allowed = Allowed(trust_remote_code or (), allow_pickle or ())
    request = Request(suite, sets, *flags, device, trust_task_code, cell_seconds, cell_memory, ahead, new_run, allowed)
    terms = terms_of_run(policy, baseline, on_inconclusive, gate=gate)
    if dry_run:
        from distbench.cli.planning import show_plan
        from distbench.execute.start import place_of

        raise typer.Exit(show_plan(request, place_of(out, new_run=new_run), as_json=json))
    on = EngineWish(engine, ray_address, retries)
    raise typer.Exit(run_suite(request, out, gate=terms, as_json=json, quiet=quiet, verbose=verbose, on=on))


@app.command()
def plan(
    suite: SuiteArg = None,
    out: Annotated[Path | None, typer.Option(help="a run directory: show what is finished, or prepare it")] = None,
    sets: Sets = None,
    teacher: Teacher = None,
    students: Students = None,
    tasks: Tasks = None,
    samples: Samples = None,
    device: Device = None,
    trust_task_code: Trust = None,
    trust_remote_code: TrustCode = None,
    allow_pickle: AllowPickle = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="jobs for a scheduler: slurm, kubernetes, or json for others"),
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option("--with", metavar="KEY=VALUE", help="an option of the format; repeatable")
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTIONS", help="options for sbatch, of every job or of 'measure: …'; repeatable"),
    ] = None,
    max_time: MaxTime = None,
    history: History = None,
    probe: Annotated[
        float | None,
        typer.Option(min=1.0, metavar="SECONDS", help="try evaluations of existing models shortly, for so long"),
    ] = None,
    json: Json = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="list every cell")] = False,
    debug: Debug = False,
) -> None:
    """Show the cells of a suite, which are finished or cached, and what the others need; exit 5 if that cannot fit."""
    from distbench.cli.ahead import Horizon
    from distbench.cli.allowing import Allowed
    from distbench.cli.planning import show_plan
    from distbench.cli.running import Request

    ahead = Horizon(history or (), probe, max_time)
    flags = (teacher, students, tasks, samples)
    allowed = Allowed(trust_remote_code or (), allow_pickle or ())
    request = Request(suite, sets, *flags, device, trust_task_code, ahead=ahead, allowed=allowed)
    if form is not None:
        from distbench.cli.scheduling import Wish, write_jobs

        write_jobs(request, Wish(form, given or (), sbatch or ()), out, as_json=json)
        return
    if given or sbatch:
        raise typer.BadParameter("--with and --sbatch are for job scripts: name a --format")
    raise typer.Exit(show_plan(request, out, as_json=json, whole=verbose))


@app.command()
def cell(
    run: Run,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="this cell, by its id's beginning; repeatable")
    ] = None,
    index: Annotated[int | None, typer.Option(min=0, help="the job of this number, counted from 0")] = None,
    stage: Annotated[str | None, typer.Option(help="count within this stage; over all cells where left out")] = None,
    chunk: Annotated[int, typer.Option(min=1, help="so many evaluations of one model are one job")] = 1,
    list_all: Annotated[bool, typer.Option("--list", help="list the jobs with their numbers")] = False,
    json: Annotated[bool, typer.Option("--json", help="with --list: print one JSON document")] = False,
    quiet: NoProgress = False,
    debug: Debug = False,
) -> None:
    """Run one cell of a prepared run, beside others on other machines: what a cluster's scheduler starts."""
    from distbench.cli.celling import Which, list_jobs, run_cell

    if list_all:
        list_jobs(run, chunk, as_json=json)
        return
    raise typer.Exit(run_cell(run, Which(ids or (), index, stage, chunk), quiet=quiet))


@app.command()
def finish(
    run: Run,
    gate: ByVerdict = False,
    policy: PolicyFile = None,
    baseline: Baseline = None,
    on_inconclusive: OnInconclusive = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare and report as `run` does at its end, after `cell` ran the cells; exit 4 where some are missing."""
    from distbench.cli.finishing import finish as finish_run
    from distbench.cli.gating import terms_of_run

    terms = terms_of_run(policy, baseline, on_inconclusive, gate=gate)
    raise typer.Exit(finish_run(run, gate=terms, as_json=json))


@app.command()
def distil(
    suite: SuiteArg = None,
    names: Annotated[
        list[str] | None, typer.Option("--student", help="make only this student of the suite; repeatable")
    ] = None,
    out: Out = None,
    new_run: NewRun = False,
    to: Annotated[Path | None, typer.Option(help="also copy each checkpoint to TO/NAME")] = None,
    control: Annotated[bool, typer.Option(help="also make the no-teacher controls")] = True,
    sets: Sets = None,
    device: Device = None,
    trust_task_code: Trust = None,
    trust_remote_code: TrustCode = None,
    allow_pickle: AllowPickle = None,
    cell_seconds: CellSeconds = None,
    cell_memory: CellMemory = None,
    max_time: MaxTime = None,
    history: History = None,
    force: Force = False,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    retries: Retries = None,
    cache: CachePlace = None,
    json: Json = False,
    quiet: NoProgress = False,
    debug: Debug = False,
) -> None:
    """Make the students of a suite, and nothing else: ordinary checkpoints. `run` with the same --out goes on."""
    from distbench.cli.ahead import Horizon
    from distbench.cli.allowing import Allowed
    from distbench.cli.distilling import Wish, distil_suite
    from distbench.cli.engines import EngineWish, share_cache
    from distbench.cli.running import Request

    share_cache(cache)
    ahead = Horizon(history or (), max_time=max_time, force=force)
    request = Request(
        suite,
        sets,
        device=device,
        trusted=trust_task_code,
        cell_seconds=cell_seconds,
        cell_memory=cell_memory,
        ahead=ahead,
        new_run=new_run,
        allowed=Allowed(trust_remote_code or (), allow_pickle or ()),
    )
    wish = Wish(tuple(names or ()), to, control)
    on = EngineWish(engine, ray_address, retries)
    raise typer.Exit(distil_suite(request, wish, out, as_json=json, quiet=quiet, on=on))
