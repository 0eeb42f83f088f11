"""What had to be allowed so that a model could be opened: it would have been refused otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field

from distbench.schema.strict import Strict
from distbench.schema.wording import harmless

MOST_NAMED = 4  # files in a sentence


class Trusted(Strict):
    """Code and pickles of a checkpoint that the suite or the command line allowed by name."""

    code: dict[str, str] = Field({}, description="Python files that may run when the model is opened: name → SHA-256")
    pickles: list[str] = Field([], description="weights that were read from pickles, as weights only, and converted")
    besides: str | None = Field(
        None, description="content hash of the checkpoint's other files; None: a model made here, with inherited code"
    )

    def words(self, *, ran: bool = True) -> list[str]:
        """Return what was allowed, a phrase each; `ran` False: it is still to come."""
        said = []
        if self.code:
            did = "was run" if ran else "will run"
            said.append(f"Python of the checkpoint {did}, as trust_remote_code allows ({_files(self.code)})")
        if self.pickles:
            names = ", ".join(harmless(name) for name in self.pickles[:MOST_NAMED])
            did = "were read" if ran else "will be read"
            said.append(f"weights {did} from a pickle, as weights only, as allow_pickle allows ({names})")
        return said


def trusted_lines(models: Iterable[tuple[str, Trusted | None]], *, ran: bool = True) -> list[str]:
    """Return what was allowed of models, by their names; those of one code or pickle share a line."""
    names: dict[str, list[str]] = {}
    for name, trusted in models:
        for words in trusted.words(ran=ran) if trusted else []:
            names.setdefault(words, []).append(name)
    return [f"{', '.join(harmless(name) for name in each)}: {words}" for words, each in names.items()]


def _files(code: Mapping[str, str]) -> str:
    named = [f"{harmless(name)} with SHA-256 {found[:16]}…" for name, found in list(code.items())[:MOST_NAMED]]
    return ", ".join(named + ([f"{len(code) - MOST_NAMED} more files"] if len(code) > MOST_NAMED else []))
