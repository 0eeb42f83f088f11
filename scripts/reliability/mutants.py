"""Copies of the package with one guarantee taken out: a kill loop that does not notice is worth nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import distbench

Patch = tuple[str, str, str]  # file, what stands there once, what stands there instead
CELL, RUN, RUN_DIR, FILES = "cell/__main__.py", "execute/run.py", "store/run_dir.py", "store/files.py"
MUTANTS: dict[str, list[Patch]] = {
    "acknowledge-before-commit": [
        (
            CELL,
            "lambda folder: self._work(cell, folder))",
            "lambda folder: (self._work(cell, folder), self.events.send('committed', cell=cell_id))[0])",
        ),
        (CELL, '        self.events.send("committed", cell=cell_id)\n        return True', "        return True"),
        (RUN, "        if _keeps(cell):\n", "        if False:\n"),  # there is nothing to share yet
        (RUN, ", went_on(self.run, cell))", ")"),  # nor to read
    ],
    "cell-without-rename": [
        (RUN_DIR, 'self.cells / f".tmp-{cell_id}.{OWNER}-{os.getpid()}"', "self.cells / cell_id"),
        (RUN_DIR, '            moment("commit.sealed", target)\n            folder.rename(target)\n', ""),
    ],
    "file-without-rename": [
        (
            FILES,
            '    temporary = path.with_name(f".{path.name}.{OWNER}-{os.getpid()}.tmp")\n',
            "    temporary = path\n",
        ),
        (FILES, "            temporary.replace(path)\n", ""),
        (FILES, "            temporary.unlink(missing_ok=True)\n", "            pass\n"),
    ],
}


def patched_copy(name: str | None, place: Path) -> Path:
    """Copy the package to `place`/distbench, broken as the mutant says; None: as it is, safe from edits meanwhile.

    Raises SystemExit where the code is no longer what a patch expects: a mutant that changes nothing proves nothing.
    """
    source = Path(distbench.__file__).parent
    shutil.copytree(source, place / "distbench", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(source.parent / "suites", place / "suites")
    for file, old, new in MUTANTS[name] if name else []:
        path = place / "distbench" / file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise SystemExit(f"mutant {name}: {file} has {text.count(old)} places like {old!r}, expected one")
        path.write_text(text.replace(old, new), encoding="utf-8")
    return place
