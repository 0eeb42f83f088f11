"""The bill of materials is valid CycloneDX and names what is installed."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.scripts import script

ROOT = Path(__file__).parents[2]


def test_the_bill_of_this_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, sbom = tmp_path / "sbom" / "distbench.cdx.json", script("sbom")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    monkeypatch.setattr(sys, "argv", ["sbom.py", "--extra", "quickstart", "--out", str(out)])
    assert sbom.main() == 0
    made = out.read_text(encoding="utf-8")
    assert sbom.document(sbom.closure("distbench", ["quickstart"])) + "\n" == made, "equal environments, equal bills"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(made) is None
    bill = json.loads(made)
    parts = {each["name"]: each for each in bill["components"]}
    assert bill["metadata"]["component"]["name"] == "distbench"
    for name in ("torch", "gguf", "numpy", "jinja2", "markupsafe"):  # needed, by an extra, and by others
        assert parts[name]["version"] == version(name)
        assert parts[name]["purl"].startswith(f"pkg:pypi/{name}@")
    assert "pytest" not in parts, "nobody needs it at run time"
    assert [name for name, each in parts.items() if not each.get("licenses")] == []
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert parts["markupsafe"]["bom-ref"] in needs[parts["jinja2"]["bom-ref"]]


def test_a_wrong_bill_is_not_valid() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str('{"bomFormat": "CycloneDX", "specVersion": 7}')
