"""Slurm: an array job for every stage, and a script that submits them in order.

Stages wait with `afterany`. `afterok` would leave everything pending for ever when one cell fails; `aftercorr` pairs
task n with task n, and an evaluation may need several models. So a stage begins when the one before has ended, however
it did, and a cell whose model was not made fails at once and says so.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence

from distbench.errors import UsageError
from distbench.schedulers.batches import Batch, Prepared, cache_variable, waits_for
from distbench.schedulers.options import FINISH, SlurmOptions

Words = Mapping[str, Sequence[str]]
SHEBANG = "#!/bin/bash\n"
SUBMIT = """\
# Submits {jobs} of the run in arrays, a stage after the other, and the comparison at the end: bash submit.sh
set -euo pipefail
submitted=()

tell() {{
  [ $? = 0 ] || [ ${{#submitted[@]}} = 0 ] || echo "to take back what was submitted: scancel ${{submitted[*]}}" >&2
}}
trap tell EXIT

submit() {{  # leaves the number of the job in $job
  job=$(sbatch --parsable --requeue --open-mode=append --nodes=1 --ntasks=1 {common} "$@")
  job=${{job%%;*}}  # of several clusters: NUMBER;CLUSTER
  submitted+=("$job")
  echo "submitted $job"
}}
"""


def slurm_files(prepared: Prepared, options: SlurmOptions, words: Words) -> dict[str, str]:
    """Return the scripts by name. Raises UsageError for a path that Slurm cannot take as it is."""
    if "\\" in str(prepared.run) or any(ord(character) < 32 for character in str(prepared.run)):
        raise UsageError(f"--out {str(prepared.run)!r}: Slurm takes no path with a backslash or a control character")
    return {
        "job.sh": _job(prepared, options),
        "finish.sh": _script(prepared, options, "# Compares and reports.", ["finish", str(prepared.run)]),
        "submit.sh": _submit(prepared, options, words),
    }


def _job(prepared: Prepared, options: SlurmOptions) -> str:
    words = ["cell", str(prepared.run), "--chunk", str(options.chunk)]
    number = '"$((SLURM_ARRAY_TASK_ID + $2))"'
    said = "# One task of an array: job SLURM_ARRAY_TASK_ID + $2 of stage $1."
    return _script(prepared, options, said, words, f' --stage "$1" --index {number}')


def _script(prepared: Prepared, options: SlurmOptions, said: str, words: Sequence[str], more: str = "") -> str:
    lines = [said, "set -eu"]
    if cache := cache_variable():
        lines.append(f"export DISTBENCH_CACHE={shlex.quote(cache)}")
    if options.setup:
        lines.append(options.setup)
    # exec: Slurm's signals reach distbench itself, which ends its cell in time
    lines.append(f"exec {shlex.join([*options.words, *words])}{more}")
    return SHEBANG + "\n".join(lines) + "\n"


def _submit(prepared: Prepared, options: SlurmOptions, words: Words) -> str:
    common = shlex.join([f"--chdir={prepared.folder}"])
    count = sum(len(batch.indexes) for batch in prepared.batches)
    lines = [SUBMIT.format(jobs=f"{count} job{'' if count == 1 else 's'}", common=common)]
    named: set[str] = set()
    for batch in prepared.batches:
        name = _variable(batch.stage.name)
        lines.append(f"# {batch.stage.name}: {len(batch.indexes)} of {len(batch.stage.jobs)} jobs")
        if name not in named:
            lines.append(f"{name}=")
            named.add(name)
        for array, offset in _arrays(batch.indexes, options):
            lines.append(f"submit {_arguments(prepared, batch, array, words)} {_file(prepared, 'job.sh')} "
                         f"{shlex.quote(batch.stage.name)} {offset}")  # fmt: skip
            lines.append(f"{name}=${name}:$job")
    waits = _waits(sorted(named))
    last = [*_named(prepared, FINISH, "%j"), "--cpus-per-task=1", *words[FINISH]]
    lines += [
        "# when all have ended, however they did",
        f"submit {waits}{shlex.join(last)} {_file(prepared, 'finish.sh')}",
    ]
    lines.append('echo "the comparison is job $job"')
    return SHEBANG + "\n".join(lines) + "\n"


def _arguments(prepared: Prepared, batch: Batch, array: str, words: Words) -> str:
    """Return what one array asks for. An array of tasks reserves the same for each."""
    wanted = [f"--array={array}", *_named(prepared, batch.stage.name, "%A_%a"), f"--cpus-per-task={batch.cpus}"]
    if batch.resources.memory is not None:
        wanted.append(f"--mem={math.ceil(batch.resources.memory / 2**20)}M")
    gres = [f"gpu:{batch.gpus}"] if batch.gpus else []
    gres += [f"{name}:{math.ceil(amount)}" for name, amount in batch.resources.custom]
    if gres:
        wanted.append(f"--gres={','.join(gres)}")
    if batch.resources.alone:  # nothing else may run on the node while it measures
        wanted += ["--exclusive"] + ([] if batch.resources.memory is not None else ["--mem=0"])
    waits = _waits([_variable(name) for name in waits_for(batch, prepared.batches)])
    return waits + shlex.join([*wanted, *words[batch.stage.kind]])


def _waits(variables: Sequence[str]) -> str:
    return f'--dependency="afterany{"".join(f"${name}" for name in variables)}" ' if variables else ""


def _arrays(indexes: Sequence[int], options: SlurmOptions) -> list[tuple[str, int]]:
    """Return (what --array says, what is added to a task's number): a cluster's largest number is MaxArraySize - 1."""
    parts: dict[int, list[int]] = {}
    for index in indexes:
        parts.setdefault(index // options.max_array, []).append(index % options.max_array)
    most = f"%{options.parallel}" if options.parallel else ""
    return [(ranges(mine) + most, part * options.max_array) for part, mine in parts.items()]


def ranges(numbers: Sequence[int]) -> str:
    """Return sorted numbers as Slurm writes them: 0-2,7."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _variable(stage: str) -> str:
    return stage.replace("-", "_")


def _named(prepared: Prepared, stage: str, number: str) -> list[str]:
    logs = str(prepared.run / "slurm" / "logs").replace("%", "%%")  # Slurm replaces %x and the like in it
    return [f"--job-name={prepared.suite}-{stage}", f"--output={logs}/%x-{number}.out"]


def _file(prepared: Prepared, name: str) -> str:
    return shlex.quote(str(prepared.run / "slurm" / name))
