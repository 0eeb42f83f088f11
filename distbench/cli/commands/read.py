"""Commands that read runs and decide: no torch, no model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distbench.cli.app import app
from distbench.cli.commands.options import AnyRun, Baseline, Brief, Debug, Json, OnInconclusive, PolicyFile, Whole


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
