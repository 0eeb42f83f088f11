"""Commands that bring something: results from elsewhere, data of the hub, suites; and what is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distbench.cli.app import app, data, imports, suites
from distbench.cli.commands.options import Debug, Json, Sets, Students, Tasks, Teacher


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
