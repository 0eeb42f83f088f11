"""Commands about several runs, and what leaves distbench for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distbench.cli.app import app
from distbench.cli.commands.options import Debug, Json


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
