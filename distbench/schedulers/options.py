"""What a job script can be told beyond the suite: `--with KEY=VALUE`, by format."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from distbench.errors import UsageError, did_you_mean
from distbench.schedulers.stages import KINDS

FINISH = "finish"
OURS = ("array", "dependency", "parsable", "wrap", "chdir", "output", "job-name", "a", "d", "D", "o", "J")
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,250}[A-Za-z0-9])?$")]
Volume = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


def _one_line(value: str) -> str:
    if any(ord(character) < 32 for character in value):  # a line feed would begin a line of its own in a script
        raise ValueError("must be one line without control characters")
    return value


Line = Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_one_line)]


class Options(BaseModel):
    """What every format takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunk: int = Field(1, ge=1, description="so many evaluations of one model are one job, which loads it once")
    program: Line = Field(
        shlex.join([sys.executable, "-m", "distbench"]), description="how a job calls distbench, in shell words"
    )

    @property
    def words(self) -> list[str]:
        """The program as words."""
        return shlex.split(self.program)


class SlurmOptions(Options):
    """What Slurm's scripts take; the rest of sbatch's options go through `--sbatch`."""

    parallel: int | None = Field(None, ge=1, description="tasks of an array at the same time, at most")
    max_array: int = Field(1001, ge=2, le=4_000_001, description="the cluster's MaxArraySize: scontrol show config")
    setup: Line | None = Field(None, description="a line of shell before distbench, such as `module load cuda`")


class KubernetesOptions(Options):
    """What the Job manifests take."""

    program: Line = Field("distbench", description="how the image calls distbench, in shell words")
    image: Line = Field(description="the container image that holds distbench")
    claim: Volume = Field(description="the PersistentVolumeClaim with the run directory, the models and the data")
    mount: Line = Field(description="where it is mounted: the same path here and in the pods")
    namespace: Volume | None = None
    secret: Volume | None = Field(
        None, description="a Secret whose keys become environment variables, such as HF_TOKEN"
    )
    parallel: int = Field(16, ge=1, description="pods of a stage at the same time, at most")
    retries: int = Field(2, ge=0, le=100, description="of a cell whose pod failed for a reason that may pass")
    user: int = Field(1000, ge=1, description="the numeric user and group of the process; never 0")
    gpu: Label = Field("nvidia.com/gpu", description="what the cluster calls a GPU")
    measure_node: Line | None = Field(None, description="LABEL=VALUE of nodes that measurements run on")


O = TypeVar("O", bound=Options)  # noqa: E741 - the options of one format


def options_of(kind: type[O], given: Sequence[str]) -> O:
    """Return validated options from KEY=VALUE words. Raises UsageError for what the format does not know."""
    values: dict[str, Any] = {}
    for word in given:
        key, equals, value = word.partition("=")
        key = key.replace("-", "_")
        if not equals or key not in kind.model_fields:
            known = ", ".join(kind.model_fields)
            raise UsageError(
                f"--with {word[:80]!r}: expected KEY=VALUE with one of {known}{did_you_mean(key, kind.model_fields)}"
            )
        values[key] = value
    try:
        options = kind.model_validate(values)
        options.words  # noqa: B018 - an open quote is an error now, not in a job
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0]) if first["loc"] else "?"
        said = (
            f"this format needs --with {key}=…: {kind.model_fields[key].description}"
            if first["type"] == "missing"
            else f"--with {key}: {first['msg']}"
        )
        raise UsageError(said) from None
    except ValueError as error:
        raise UsageError(f"--with program: {error}") from None
    return options


def sbatch_words(given: Sequence[str]) -> dict[str, list[str]]:
    """Return sbatch's further options by kind of cell: `--sbatch "…"` for every job, `--sbatch "measure: …"` for some.

    Raises UsageError for what the scripts set themselves.
    """
    words: dict[str, list[str]] = {kind: [] for kind in (*KINDS, FINISH)}
    for text in given:
        found = re.fullmatch(rf"\s*({'|'.join(words)}):(.*)", _one_line_or_refused(text))
        kinds, rest = ([found[1]], found[2]) if found else (list(words), text)
        try:
            each = shlex.split(rest)
        except ValueError as error:
            raise UsageError(f"--sbatch {text[:80]!r}: {error}") from None
        for word in each:
            name = re.split("=", word.lstrip("-"), maxsplit=1)[0]
            if word.startswith("-") and name in OURS:
                raise UsageError(f"--sbatch {word!r}: the scripts set that themselves")
        for kind in kinds:
            words[kind] += each
    return words


def _one_line_or_refused(text: str) -> str:
    try:
        return _one_line(text)
    except ValueError as error:
        raise UsageError(f"--sbatch {error}") from None
