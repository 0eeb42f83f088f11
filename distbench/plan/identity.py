"""What a cell is: the hash of everything that decides its numbers. Never a name, never a path."""

from __future__ import annotations

import json
from typing import Any

from distbench import plugins
from distbench.data.located import without_paths
from distbench.hashing import canonical_json, short_digest
from distbench.host import cpu_has_bfloat16, package_versions
from distbench.schema.cell import ModelRef, Settings
from distbench.schema.strict import Use
from distbench.schema.suite import DistilSpec, FitSpec, TaskSpec

CELL_CODE = 3  # raise it when the same inputs would give other numbers


def _surroundings(settings: Settings) -> dict[str, Any]:
    """Return what every cell's numbers depend on. Threads change times, and at most the last bits of a score."""
    versions = {name: v for name, v in package_versions().items() if name != "distbench"}
    return {
        "code": CELL_CODE,
        "seed": settings.seed,
        "dtype": settings.dtype,
        "device": settings.device.split(":")[0],
        "packages": versions,
    }


def _code(group: str, name: str) -> list[str]:
    """Return which distribution provides a plug-in; a third party's version counts, ours is `CELL_CODE`."""
    package, version = plugins.distribution(group, name)
    return [name] if package == "distbench" else [name, package, version]


def opened_identity(identity: str, use: str, options: dict[str, Any]) -> str:
    """Return what a model is once it is opened: its content, how it is opened, and the runtime that does so.

    Options that only permit something (`permits`) decide nothing: what they let in is a part of the content.
    """
    permits: frozenset[str] = getattr(plugins.load("models", use), "permits", frozenset())
    options = {key: value for key, value in options.items() if key not in permits}
    runtime = plugins.versions("models", use)
    return short_digest([identity, options, runtime]) if options or runtime else identity


def id_of(decided_by: list[Any]) -> str:
    """Return the id of a cell: the hash of everything that decides its numbers."""
    return short_digest(decided_by)


def of_task(task: TaskSpec) -> list[Any]:
    """Return what decides the answers besides the model and the machine. It reads the task's files."""
    kind = plugins.load("tasks", task.use)
    spec = task.model_dump(mode="json", exclude={"data", "weight", "group"})
    return _plain([spec, kind.identity(task), _code("tasks", task.use)])


def of_evaluation(
    model: ModelRef, asked: list[Any], settings: Settings, reference: ModelRef | None = None
) -> list[Any]:
    """Return what decides "this model on this task", or "this model beside its teacher on this task".

    `asked` is `of_task` of the task.
    """
    beside = [reference.identity, reference.use] if reference else []
    return ["evaluate", model.identity, model.use, *asked, _plain([_surroundings(settings)])[0], *beside]


def of_recipe(parts: dict[str, Any], train: DistilSpec | FitSpec | None, settings: Settings) -> list[Any]:
    """Return what decides the result of a recipe; `parts` holds identities of parents and the steps."""
    data = None
    if train is not None:
        source = plugins.load("data", train.data.use)(plugins.options("data", train.data))
        data = [source.identity(), _code("data", train.data.use), _code("methods", train.use)]
        if train.options.get("lora") is not None:
            data.append(["peft", plugins.version_of("peft")])
        if settings.device == "cpu" and train.options.get("precision") in (None, "auto"):
            data.append(["bfloat16", cpu_has_bfloat16()])  # what the trainer will compute in here
        changed: dict[str, Any] = {"data": without_paths(train.data)}
        if train.launch is not None and train.launch.processes == 1:
            changed["launch"] = None  # several processes round otherwise; one is what there is without a launch
        train = train.model_copy(update=changed)
    return _plain(["make", parts, train, data, _surroundings(settings)])


def of_measurement(
    models: list[ModelRef],
    meters: dict[str, dict[str, Any]],
    workload: TaskSpec | None,
    settings: Settings,
    *,
    one_of_several: bool = False,
) -> list[Any]:
    """Return what decides a measurement; threads count here, and which device of `one_of_several` it is."""
    spec = workload.model_dump(mode="json", exclude={"weight", "group"}) if workload else None
    names = [[m.name, m.identity] for m in models]
    codes = [_code("meters", name) for name in meters]
    where = _surroundings(settings) | ({"measured_on": settings.device} if one_of_several else {})
    return _plain(["measure", names, meters, codes, spec, settings.threads, where])


def _plain(decided_by: list[Any]) -> list[Any]:
    """Return it as the JSON that is hashed holds it, so that whoever reads the plan can hash it again."""
    plain: list[Any] = json.loads(canonical_json(decided_by))
    return plain


def step(use: Use | None, group: str) -> Any:
    """Return a step of a recipe in canonical form, with the versions of what it needs installed.

    A plug-in's `identity` says what else decides its result, such as the content of a file that it names.
    """
    if use is None:
        return None
    kind = plugins.load(group, use.use)
    more = {" versions": plugins.versions(group, use.use)}  # no option can have such names
    if hasattr(kind, "identity"):
        more[" content"] = kind(plugins.options(group, use)).identity()
    return without_paths(use, group).model_dump(mode="json") | {key: value for key, value in more.items() if value}
