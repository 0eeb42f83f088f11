"""JSON Schemas for editors and other programs: the suite file with the installed plug-ins, and the result document."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from distbench import plugins
from distbench.errors import DistbenchError
from distbench.schema.result import Result
from distbench.schema.strict import Use
from distbench.schema.suite import DistilSpec, FitSpec, Suite, TaskSpec, TeacherSpec

Schema = dict[str, Any]
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/"


def result_schema() -> Schema:
    """Return the schema of a result document."""
    return {"$schema": _DRAFT, **Result.model_json_schema(mode="serialization")}


def suite_schema() -> Schema:
    """Return the schema of a suite file: where a plug-in is chosen, one alternative for each that is installed."""
    schema: Schema = {"$schema": _DRAFT, **Suite.model_json_schema()}
    defs: Schema = schema["$defs"]
    for group in ("data", "inits", "quantisers", "deployments"):
        defs[f"use.{group}"] = _alternatives(group, Use, defs["Use"], defs)
    defs["DistilSpec"] = _training(DistilSpec, defs)
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


def _student(student: Schema) -> None:
    properties = student["properties"]
    for key, group in (("init", "inits"), ("quantise", "quantisers")):
        properties[key] = {"anyOf": [{"$ref": f"{_REF}use.{group}"}, {"type": "null"}], "default": None}
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


def _alternatives(group: str, spec: type[BaseModel], common: Schema, defs: Schema) -> Schema:
    """Return one schema for each plug-in of a group: the suite's own keys, `use` fixed, and the plug-in's options."""
    found = []
    for name in plugins.names(group):
        options = _options(group, name, defs)
        own = {key: value for key, value in options.get("properties", {}).items() if key not in spec.model_fields}
        properties = {**common["properties"], **own, "use": {"const": name}}
        found.append(_object(properties, options, common.get("required", [])) | {"title": name})
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
    return schema
