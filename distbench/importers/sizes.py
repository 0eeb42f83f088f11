"""The size of a model whose results were imported: of a checkpoint that the user names, else as lm-eval counted it."""

from __future__ import annotations

import math
from pathlib import Path

from distbench.data.checkpoint import check_safetensors, safe_weights
from distbench.errors import EnvironmentFault
from distbench.importers.lm_eval_results import Results
from distbench.schema.record import Footprint

NOT_GIVEN = "the size was not given: the results are imported; name a local checkpoint to have it"


def size_of(results: Results, source: Path | None) -> Footprint:
    """Return the footprint of a model.

    Raises EnvironmentFault where `source` is not there, RefusedError where it is damaged.
    """
    if source is not None:
        return _checkpoint(source, results.parameters)
    if results.parameters is None:
        return Footprint(note=NOT_GIVEN)
    dtype = results.configured("model_dtype")
    return Footprint(
        params_unique=results.parameters,
        dtype=dtype.removeprefix("torch.") if dtype else None,
        note="parameters as lm-eval counted them; bytes on disk were not given",
    )


def _checkpoint(source: Path, counted: int | None) -> Footprint:
    note = f"sizes of {source}, which the command line named; nothing shows that the results are of this checkpoint"
    if source.is_file() and source.suffix == ".gguf":
        return Footprint(bytes_on_disk=source.stat().st_size, params_unique=counted, note=note)
    if not source.is_dir():
        raise EnvironmentFault(f"no checkpoint folder or .gguf file at {source}")
    files = safe_weights(source)
    tensors = {name: entry for file in files for name, entry in check_safetensors(file).items()}
    found = sum(math.prod(e["shape"]) for name, e in tensors.items() if not name.endswith(".weight_scale"))
    if counted is not None and counted != found:
        note = f"{note}; lm-eval counted {counted} parameters, this checkpoint has {found}"
    return Footprint(
        bytes_on_disk=sum(file.stat().st_size for file in files),
        params_unique=found,
        dtype="+".join(sorted({str(entry["dtype"]) for entry in tensors.values()})),
        note=note,
    )
