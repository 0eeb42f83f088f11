"""Kubernetes: an indexed Job for every stage, and a script that applies them in order.

Kubernetes itself has no order between Jobs, so `apply.sh` waits until one has ended, however it did, before the next.
"""

from __future__ import annotations

import hashlib
import math
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from distbench.errors import ExitCode, UsageError
from distbench.executors.job import Resources
from distbench.schedulers.batches import Batch, Prepared, cache_variable
from distbench.schedulers.options import FINISH, KubernetesOptions
from distbench.schema.cell import models_of

PART = "app.kubernetes.io/part-of"
KIND = "distbench/kind"
TMP, SHM = "/tmp", "/dev/shm"  # noqa: S108 - of the pod alone
MOST_CELLS = 100_000  # of a Job whose indexes are counted one by one
FINAL = [ExitCode.GATE_FAILED, ExitCode.USAGE, ExitCode.INCONCLUSIVE, ExitCode.RUN_FAILED, ExitCode.REFUSED]
APPLY = """\
#!/bin/bash
# Runs the Jobs of the run in order: bash apply.sh. A stage begins when the one before has ended, however it did.
# Stopped half way, it can be started again: Jobs that are at work are waited for, those that have ended run anew.
set -euo pipefail
cd {folder}

ended() {{  # Complete, Failed, or nothing
  kubectl get "$1" --namespace {namespace} \\
    --output 'jsonpath={{range .status.conditions[?(@.status=="True")]}}{{.type}} {{end}}' |
    grep -owE 'Complete|Failed' || true
}}

stage() {{
  if kubectl get "$1" --namespace {namespace} >/dev/null 2>&1 && [ -n "$(ended "$1")" ]; then
    kubectl delete "$1" --namespace {namespace} --wait=true
  fi
  kubectl apply --namespace {namespace} --filename "$2"
  until [ -n "$(ended "$1")" ]; do sleep "${{DISTBENCH_POLL_SECONDS:-10}}"; done
  echo "$1: $(ended "$1")"
}}

"""


def kubernetes_files(prepared: Prepared, options: KubernetesOptions) -> dict[str, str]:
    """Return the manifests and the script by name. Raises UsageError for what a pod could not reach."""
    _check_reach(prepared, options)
    files, calls = dict[str, str](), list[str]()
    for number, (name, job) in enumerate(_jobs(prepared, options), 1):
        file = f"{number:02}-{name}.yaml"
        files[file] = yaml.safe_dump(job, sort_keys=False, allow_unicode=False)
        calls.append(f"stage {shlex.quote('job/' + job['metadata']['name'])} {shlex.quote(file)}")
    place = {"folder": '"$(dirname "$0")"', "namespace": shlex.quote(options.namespace or "default")}
    files["apply.sh"] = APPLY.format(**place) + "\n".join(calls) + "\n"
    return files


def _check_reach(prepared: Prepared, options: KubernetesOptions) -> None:
    mount = Path(options.mount)
    if not mount.is_absolute():
        raise UsageError(f"--with mount={options.mount}: expected an absolute path")
    where = {"the run directory": prepared.run}
    refs = [ref for cell in prepared.cells for ref in models_of(cell)]
    where |= {f"model {ref.name!r}": Path(ref.path) for ref in refs if ref.path is not None}
    if (cache := cache_variable()) is not None and "://" not in cache:
        where["the cache (DISTBENCH_CACHE)"] = Path(cache)
    for what, path in where.items():
        if not path.is_relative_to(mount):
            raise UsageError(f"{what} is at {path}, which is not under {mount}, the volume that the pods mount")
    for batch in prepared.batches:
        if batch.resources.custom:
            raise UsageError("resources.custom is for engines that name resources themselves; Kubernetes' names differ")
        if len(batch.indexes) > MOST_CELLS:
            raise UsageError(f"stage {batch.stage.name} has {len(batch.indexes)} jobs, a Kubernetes Job at most "
                             f"{MOST_CELLS}: give --with chunk=N")  # fmt: skip


def _jobs(prepared: Prepared, options: KubernetesOptions) -> list[tuple[str, dict[str, Any]]]:
    """Return (name of a file, manifest) in the order in which they run."""
    found = []
    seen: dict[str, int] = {}
    for batch in prepared.batches:
        stage = batch.stage.name
        seen[stage] = seen.get(stage, 0) + 1
        name = stage if seen[stage] == 1 else f"{stage}-{seen[stage]}"  # the same stage with other resources
        found.append((name, _job(prepared, options, name, batch)))
    return [*found, (FINISH, _job(prepared, options, FINISH, None))]


def _job(prepared: Prepared, options: KubernetesOptions, name: str, batch: Batch | None) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "distbench", PART: "distbench", KIND: batch.stage.kind if batch else FINISH}
    spec: dict[str, Any] = {
        "completions": len(batch.indexes) if batch else 1,
        "parallelism": min(options.parallel, len(batch.indexes)) if batch else 1,
        "completionMode": "Indexed",
        "backoffLimitPerIndex": options.retries,
        "podFailurePolicy": {
            "rules": [
                # evicted, preempted, drained: no fault of the cell, and no attempt is counted
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                # what fails by itself fails again; what the machine is to blame for (5, or a kill) may pass
                {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": sorted(map(int, FINAL))}},
            ]
        },
        "template": {"metadata": {"labels": dict(labels)}, "spec": _pod(prepared, options, batch)},
    }
    metadata: dict[str, Any] = {"name": job_name(prepared, name), "labels": labels}
    if options.namespace:
        metadata["namespace"] = options.namespace
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def job_name(prepared: Prepared, stage: str) -> str:
    """Return a name that Kubernetes takes and that no other run has; room is left for the index of a pod."""
    suite = re.sub(r"[^a-z0-9]+", "-", prepared.suite.lower()).strip("-")[:24].rstrip("-")
    run = hashlib.sha256(str(prepared.run).encode()).hexdigest()[:8]
    return "-".join(part for part in ("db", suite, run, stage) if part)


def _pod(prepared: Prepared, options: KubernetesOptions, batch: Batch | None) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": options.user,
            "runAsGroup": options.user,
            "fsGroup": options.user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "shared", "persistentVolumeClaim": {"claimName": options.claim}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
        ],
        "containers": [_container(prepared, options, batch)],
    }
    if batch is not None and batch.resources.alone:
        pod["affinity"] = _alone()
        if options.measure_node:
            label, equals, value = options.measure_node.partition("=")
            if not equals:
                raise UsageError(f"--with measure_node={options.measure_node}: expected LABEL=VALUE")
            pod["nodeSelector"] = {label: value}
    return pod


def _alone() -> dict[str, Any]:
    """Keep a measurement away from every other pod of distbench: the scheduler keeps them away from it, too."""
    term = {
        "labelSelector": {"matchLabels": {PART: "distbench"}},
        "namespaceSelector": {},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _container(prepared: Prepared, options: KubernetesOptions, batch: Batch | None) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "distbench",
        "image": options.image,
        "command": _command(prepared, options, batch),
        "workingDir": options.mount,
        "env": [
            {"name": "HOME", "value": TMP},
            {"name": "DISTBENCH_CACHE", "value": cache_variable() or str(Path(options.mount) / "distbench-cache")},
        ],
        "resources": _resources(batch.resources, options) if batch else _resources(Resources(), options),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "shared", "mountPath": options.mount},
            {"name": "tmp", "mountPath": TMP},
            {"name": "shm", "mountPath": SHM},
        ],
    }
    if options.secret:
        container["envFrom"] = [{"secretRef": {"name": options.secret}}]
    return container


def _command(prepared: Prepared, options: KubernetesOptions, batch: Batch | None) -> list[str]:
    """Return the words that a container starts. A shell puts the number in, and is replaced by distbench."""
    run = _escaped(str(prepared.run))
    program = [_escaped(word) for word in options.words]
    if batch is None:
        return [*program, "finish", run]
    words = [*program, "cell", run, "--stage", batch.stage.name, "--chunk", str(options.chunk)]
    if batch.indexes == list(range(len(batch.indexes))):
        number = '"$JOB_COMPLETION_INDEX"'
    else:  # the others of this stage are finished, or want another machine
        number = f'"$(echo {" ".join(map(str, batch.indexes))} | cut -d" " -f"$((JOB_COMPLETION_INDEX + 1))")"'
    return ["sh", "-c", f'exec "$@" --index {_escaped(number)}', "sh", *words]


def _escaped(word: str) -> str:
    """Keep Kubernetes from replacing $(NAME) in a command."""
    return word.replace("$(", "$$(")


def _resources(wanted: Resources, options: KubernetesOptions) -> dict[str, Any]:
    """Return equal requests and limits where both are known: such a pod is the last to be evicted."""
    amounts: dict[str, Any] = {"cpu": str(math.ceil(wanted.cpus))}
    if wanted.memory is not None:
        amounts["memory"] = f"{math.ceil(wanted.memory / 2**20)}Mi"
    if wanted.gpus:
        amounts[options.gpu] = math.ceil(wanted.gpus)
    return {"requests": amounts, "limits": dict(amounts)}
