"""The environment of a child: an allow-list, so that nothing secret or accidental reaches a cell or its record.

Of the families of variables that are let through as a whole, those whose name says that they hold a credential stay
behind (NVIDIA_API_KEY, HF_ENDPOINT_SECRET). The one exception is the hub's token: cells fetch gated data sets, so they
need it unless the hub is switched off. What a model asks for by name (`api_key_env`) comes in besides.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from distbench import secrets

ALLOWED = {
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TEMP", "TMP", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV",
    "LD_LIBRARY_PATH", "LD_PRELOAD", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HTTP_PROXY",
    "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "COVERAGE_PROCESS_START",
    "COVERAGE_PROCESS_CONFIG",
}  # fmt: skip
ALLOWED_PREFIXES = (
    "LC_",
    "PYTHON",
    "HF_",
    "TRANSFORMERS_",
    "CUDA_",
    "NVIDIA_",
    "NCCL_",
    "XDG_",
    "DISTBENCH_",
    "TORCH_",
)
HUB_TOKEN = "HF_TOKEN"  # noqa: S105 - the name of a variable
OFFLINE = {"1", "true", "yes", "on"}  # as huggingface_hub reads HF_HUB_OFFLINE


def child_environment(
    threads: int, source: Mapping[str, str] | None = None, wanted: Collection[str] = ()
) -> dict[str, str]:
    """Return a child's environment: what it needs of ours, threads fixed, telemetry and progress bars off.

    wanted: variables that a model of its cells asks for by name, such as the key of a server.
    """
    given = os.environ if source is None else source
    allowed = ALLOWED.union(wanted)
    if given.get("HF_HUB_OFFLINE", "").lower() not in OFFLINE:
        allowed = allowed | {HUB_TOKEN}
    kept = {
        key: value
        for key, value in given.items()
        if key in allowed or (key.startswith(ALLOWED_PREFIXES) and not secrets.is_secret(key))
    }
    fixed = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    fixed |= {
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # else CUDA counts by speed and the driver by slot
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
        "NO_COLOR": "1",
    }
    return kept | fixed
