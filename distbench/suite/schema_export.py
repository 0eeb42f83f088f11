"""JSON Schemas for editors and other programs: the suite file with the installed plug-ins, and the result document."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from distbench import plugins
from distbench.errors import DistbenchError
from distbench.schema.decision import Decision
from distbench.schema.diff import Diff
from distbench.schema.policy import Policy
from distbench.schema.result import Result
from distbench.schema.strict import Chooses, Use
from distbench.schema.suite import DistilSpec, FitSpec, Suite, TaskSpec, TeacherSpec
from distbench.schema.trend import Trend
from distbench.schema.verification import Verification
from distbench.suite.uses import chosen_as

Schema = dict[str, Any]
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/"


def result_schema() -> Schema:
    """Return the schema of a result document."""
    return {"$schema": _DRAFT, **Result.model_json_schema(mode="serialization")}


def decision_schema() -> Schema:
    """Return the schema of a gate's decision."""
    return {"$schema": _DRAFT, **Decision.model_json_schema(mode="serialization")}


def diff_schema() -> Schema:
    """Return the schema of what changed between two runs."""
    return {"$schema": _DRAFT, **Diff.model_json_schema(mode="serialization")}


def trend_schema() -> Schema:
    """Return the schema of a trend over releases."""
    return {"$schema": _DRAFT, **Trend.model_json_schema(mode="serialization")}


def verification_schema() -> Schema:
    """Return the schema of what was found in runs."""
    return {"$schema": _DRAFT, **Verification.model_json_schema(mode="serialization")}


def policy_schema() -> Schema:
    """Return the schema of a policy file."""
    return {"$schema": _DRAFT, **Policy.model_json_schema()}


def suite_schema() -> Schema:
    """Return the schema of a suite file: where a plug-in is chosen, one alternative for each that is installed."""
    schema: Schema = {"$schema": _DRAFT, **Suite.model_json_schema()}
    defs: Schema = schema["$defs"]
    for group in ("data", "inits", "quantisers", "deployments"):
        defs[f"use.{group}"] = _alternatives(group, Use, defs["Use"], defs)
        defs[f"grid.{group}"] = _alternatives(group, Use, defs["Use"], defs, grid=True)
    defs["DistilSpec"] = _distil(defs)
    defs["FitSpec"] = _training(FitSpec, defs)
    defs["TeacherSpec"] = _alternatives("models", TeacherSpec, defs["TeacherSpec"], defs)
    _student(defs["StudentSpec"])
    _task_data(defs["TaskSpec"])
    defs["TaskSpec"] = _alternatives("tasks", TaskSpec, defs["TaskSpec"], defs)
    schema["properties"]["measure"] = _measure(defs)
    schema["properties"]["teachers"]["additionalProperties"] = False
    return schema


def _training(spec: type[BaseModel], defs: Schema) -> Schema:
    common = defs[spec.__name__]
    common["properties"]["data"] = {"$ref": f"{_REF}use.data"}
    return _alternatives("methods", spec, common, defs)


def _distil(defs: Schema) -> Schema:
    """Return the schema of a student's training, in which an option may be a grid."""
    common = defs["DistilSpec"]
    properties = common["properties"]
    properties["data"] = {"$ref": f"{_REF}grid.data"}
    for key in ("teachers", "teacher_weights"):
        properties[key] = _or_list(properties[key])
    return _alternatives("methods", DistilSpec, common, defs, grid=True)


def _or_list(one: Schema) -> Schema:
    """Return the schema of a value, or of a list of such values: a grid."""
    shown: Schema = {key: one[key] for key in ("title", "description", "default") if key in one}
    return {**shown, "anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _student(student: Schema) -> None:
    properties = student["properties"]
    for key, group in (("init", "inits"), ("quantise", "quantisers")):
        properties[key] = {"anyOf": [{"$ref": f"{_REF}grid.{group}"}, {"type": "null"}], "default": None}
    one = {"$ref": f"{_REF}use.deployments"}
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": 16}
    properties["deploy"] = {**properties["deploy"], "anyOf": [one, several, {"type": "null"}]}
    properties["use"] = {**properties["use"], "anyOf": [{"enum": plugins.names("models")}, {"type": "null"}]}


def _task_data(task: Schema) -> None:
    """Let `data` be a data plug-in where it has the key `use`, and else what the task understands."""
    files = {"type": "object", "not": {"required": ["use"]}}
    data = task["properties"]["data"]
    task["properties"]["data"] = {**data, "anyOf": [{"$ref": f"{_REF}use.data"}, files, {"type": "null"}]}


def _measure(defs: Schema) -> Schema:
    meters: Schema = {}
    for name in plugins.names("meters"):
        options = _options("meters", name, defs)
        meters[name] = {"anyOf": [_object(options.get("properties", {}), options), {"type": "null"}]}
    return {"type": "object", "properties": meters, "additionalProperties": False, "default": {}, "title": "Measure"}


def _alternatives(group: str, spec: type[BaseModel], common: Schema, defs: Schema, *, grid: bool = False) -> Schema:
    """Return one schema for each plug-in of a group: the suite's own keys, `use` fixed, and the plug-in's options.

    In a grid an option may be a list of its values, and `use` a list of plug-ins, which share their options then.
    """
    found: list[Schema] = []
    shared: dict[str, list[Schema]] = {}
    for name in plugins.names(group):
        options = _options(group, name, defs)
        own = {key: value for key, value in options.get("properties", {}).items() if key not in spec.model_fields}
        if grid:
            own = {key: _or_list(value) for key, value in own.items()}
            shared |= {key: [*shared.get(key, []), value] for key, value in own.items()}
        properties = {**common["properties"], **own, "use": {"const": name}}
        found.append(_object(properties, options, common.get("required", [])) | {"title": name})
    if found and grid:
        several = {"type": "array", "items": {"enum": plugins.names(group)}, "minItems": 1}
        properties = {**{key: {"anyOf": each} for key, each in shared.items()}, **common["properties"], "use": several}
        closed = all(each["additionalProperties"] is False for each in found)
        found.append(_object(properties, {"additionalProperties": not closed}, common.get("required", [])))
    return {"anyOf": found, "description": common.get("description", "")} if found else common


def _object(properties: Schema, options: Schema, required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted({*(required or []), *options.get("required", [])}),
        "additionalProperties": options.get("additionalProperties", False),
        **({"description": options["description"]} if "description" in options else {}),
    }


def _options(group: str, name: str, defs: Schema) -> Schema:
    """Return the schema of a plug-in's options; its definitions join ours under names of their own."""
    try:
        model = plugins.options_type(group, name)
    except DistbenchError:  # an extra is not installed: any option is possible
        return {"additionalProperties": True}
    prefix = re.sub(r"[^A-Za-z0-9.-]", "_", f"{group}.{name}.")
    schema = model.model_json_schema(ref_template=f"{_REF}{prefix}{{model}}")
    for key, definition in schema.pop("$defs", {}).items():
        defs[f"{prefix}{key}"] = definition
    for key, field in model.model_fields.items():
        for inner in (each.group for each in field.metadata if isinstance(each, Chooses)):
            spec = chosen_as(field.annotation)
            whole = {f"{_REF}{prefix}{spec.__name__}": f"{_REF}{_nested(inner, spec, defs)}"}
            option = _repointed(schema["properties"][key], whole)
            named = {"enum": plugins.names(inner)}
            if "anyOf" in option:  # a name alone will do
                option["anyOf"] = [named if each == {"type": "string"} else each for each in option["anyOf"]]
            schema["properties"][key] = option
    return schema


def _nested(group: str, spec: type[BaseModel], defs: Schema) -> str:
    """Return the name of the definition of a plug-in that another plug-in's options choose."""
    name = f"{spec.__name__.lower()}.{group}"
    if name not in defs:
        defs[name] = {}  # its own options may choose the same again
        defs[name] = _alternatives(group, spec, spec.model_json_schema(), defs)
    return name


def _repointed(schema: Any, moved: dict[str, str]) -> Any:
    """Return a schema whose references lead elsewhere."""
    if isinstance(schema, dict):
        return {
            key: moved.get(value, value) if key == "$ref" else _repointed(value, moved) for key, value in schema.items()
        }
    return [_repointed(each, moved) for each in schema] if isinstance(schema, list) else schema
