"""`gate`: decide on a run, say so in every form that was asked for, and exit by the verdict."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from distbench.compare.evidence import Evidence
from distbench.compare.reading import read_document
from distbench.compare.run import compare
from distbench.errors import (
    DistbenchError,
    EnvironmentFault,
    ExitCode,
    RefusedError,
    RunError,
    UsageError,
    did_you_mean,
)
from distbench.gate import github
from distbench.gate.decision import decide, with_checks
from distbench.gate.evidence import checked, evidence_checks, facts_of
from distbench.gate.junit import junit, junit_of_error
from distbench.gate.markdown import COMMENT_LIMIT, SUMMARY_LIMIT, markdown
from distbench.gate.names import check_names, known_of_plan, known_of_run
from distbench.gate.policy_file import LoadedPolicy, load_policy
from distbench.gate.text import text
from distbench.schema.decision import BaselineFacts, Decision, PolicyFacts
from distbench.schema.policy import OnInconclusive
from distbench.schema.result import Result
from distbench.store.files import disk_faults, write_text
from distbench.store.run_dir import RunDir

if TYPE_CHECKING:
    from distbench.plan.expand import Plan

FORMATS = ("text", "json", "markdown", "junit", "github")


@dataclass(frozen=True)
class Terms:
    """How to decide: the command line's options."""

    policy: Path | None = None
    baseline: Path | None = None
    on_inconclusive: str | None = None


@dataclass(frozen=True)
class Outputs:
    """What to write where. `github`: None = where GitHub Actions says that it runs this."""

    form: str = "text"
    short: bool = False  # --json
    out: Path | None = None
    markdown: Path | None = None
    junit: Path | None = None
    json: Path | None = None
    github: bool | None = None
    quiet: bool = False


def gate(run: Path, terms: Terms, outputs: Outputs) -> ExitCode:
    """Decide on a run, write every output, and return the exit code."""
    if outputs.short:
        if outputs.form not in {"text", "json"}:
            raise UsageError(f"--json is short for --format json, and --format is {outputs.form!r}; leave one out")
        outputs = replace(outputs, form="json")
    _checked("--format", outputs.form, FORMATS)
    try:
        decision = decided(run, terms)
    except (RunError, RefusedError) as error:
        publish_error(run, error, outputs)
        raise
    publish(decision, outputs)
    return ExitCode(decision.exit_code)


def terms_of_run(
    policy: Path | None, baseline: Path | None, on_inconclusive: str | None, *, gate: bool
) -> Terms | None:
    """Return how `run --gate` decides; None where it does not."""
    terms = Terms(policy, baseline, on_inconclusive)
    if not gate and terms != Terms():
        raise UsageError("--policy, --baseline and --on-inconclusive are for --gate")
    return terms if gate else None


def check_early(terms: Terms, plan: Plan) -> None:
    """Refuse before a run begins what `decided` would refuse after it: a wrong policy, an absent baseline."""
    loaded = load_policy(terms.policy) if terms.policy else None
    _on_inconclusive(terms, loaded)
    if loaded is not None:
        check_names(loaded, known_of_plan(plan.models, plan.tasks))
    if terms.baseline is not None and not terms.baseline.exists():
        raise UsageError(f"no baseline at {terms.baseline} (working directory {Path.cwd()})")


def decided(run: Path, terms: Terms, result: Result | None = None) -> Decision:
    """Return the decision on a run. `result`: the comparison by the suite's own gate, where it is at hand."""
    loaded = load_policy(terms.policy) if terms.policy else None
    how = _on_inconclusive(terms, loaded)
    if run.is_file():
        return decide(_document(run, terms), how)
    directory = RunDir.existing(run)
    sound = [checked(run)]
    if loaded is not None:
        check_names(loaded, known_of_run(Evidence(directory)))
        result = compare(directory, loaded.policy)
    result = result or compare(directory)
    facts = None
    if loaded is not None:
        facts = PolicyFacts(file=str(terms.policy), sha256=loaded.sha256, extends=loaded.policy.extends)
    before = _baseline_of(terms, loaded)
    if before is not None and before.is_dir():
        sound.append(checked(before))
    result, base = _against_baseline(run, result, before, loaded)
    result = with_checks(result, evidence_checks(sound, result, loaded.policy if loaded else None))
    return decide(result, how, policy=facts, baseline=base, evidence=facts_of(sound[0]))


def _document(path: Path, terms: Terms) -> Result:
    """Return the result of a document, which knows its own gate only."""
    given = [name for name, value in (("--policy", terms.policy), ("--baseline", terms.baseline)) if value]
    if given:
        raise UsageError(f"{path} is a result document, without samples; {' and '.join(given)} needs the run directory")
    return read_document(path)


def _baseline_of(terms: Terms, loaded: LoadedPolicy | None) -> Path | None:
    """Return the earlier run: that of the command line, else that of the policy."""
    from distbench.gate.baseline import named_by

    return terms.baseline or (named_by(loaded) if loaded else None)


def _against_baseline(
    run: Path, result: Result, path: Path | None, loaded: LoadedPolicy | None
) -> tuple[Result, BaselineFacts | None]:
    """Return the result with the checks against an earlier run, where there is one or where a policy asks for it."""
    from distbench.gate.baseline import baseline_checks

    rules = loaded.policy if loaded else None
    if path is None and (rules is None or not any(each.baseline for _, each in rules.sections())):
        return result, None
    checks, facts = baseline_checks(run, result, path, rules)
    return with_checks(result, checks), facts


def _on_inconclusive(terms: Terms, loaded: LoadedPolicy | None) -> OnInconclusive:
    given = terms.on_inconclusive or (loaded.policy.on_inconclusive if loaded else None) or "fail"
    _checked("--on-inconclusive", given, get_args(OnInconclusive))
    return given  # type: ignore[return-value]


def _checked(flag: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = did_you_mean(value[:80], known)
        raise UsageError(f"{flag} is one of {', '.join(known)}, not {value[:80]!r}{near}")


# -- outputs ----------------------------------------------------------------------------------------------------------


def publish(decision: Decision, outputs: Outputs) -> None:
    """Write every file that was asked for, then print. A file that cannot be written is an error, never a pass."""
    on_github = _on_github(outputs)
    files = ((outputs.junit, junit), (outputs.markdown, markdown), (outputs.json, as_json))
    for path, rendering in files:
        if path is not None:
            _write(path, rendering(decision))
    if on_github:
        _tell_github(decision, printed=outputs.form == "github" and not outputs.quiet)
    if outputs.out is not None:
        _write(outputs.out, rendered(decision, outputs.form))
    elif not outputs.quiet:
        _print(rendered(decision, outputs.form), outputs.form, on_github=on_github)


def publish_error(run: Path, error: DistbenchError, outputs: Outputs) -> None:
    """Write the JUnit file, and annotate, where nothing finished or the run is damaged: a CI would show nothing."""
    found = junit_of_error(run.name, str(error))
    if outputs.junit is not None:
        _write(outputs.junit, found)
    if outputs.form == "junit" and outputs.out is not None:
        _write(outputs.out, found)
    elif outputs.form == "junit" and not outputs.quiet:
        sys.stdout.write(found)
    if _on_github(outputs):
        sys.stderr.write(f"{github.annotate_error(str(error))}\n")


def _on_github(outputs: Outputs) -> bool:
    return outputs.github if outputs.github is not None else os.environ.get("GITHUB_ACTIONS") == "true"


def rendered(decision: Decision, form: str) -> str:
    """Return the decision in one of the formats."""
    if form == "markdown":
        return markdown(decision, COMMENT_LIMIT)
    if form == "github":
        return "".join(f"{line}\n" for line in github.annotate(decision))
    return {"text": text, "json": as_json, "junit": junit}[form](decision)


def as_json(decision: Decision) -> str:
    """Return the decision as a JSON document; a lone surrogate stays an escape."""
    document = json.dumps(decision.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
    return document.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def _print(said: str, form: str, *, on_github: bool) -> None:
    if on_github and form != "github":
        said = github.harmless_json(said) if form == "json" else github.harmless(said)
    sys.stdout.write(said)
    sys.stdout.flush()


def _tell_github(decision: Decision, *, printed: bool) -> None:
    """Annotate (on standard error, which the runner reads too), and write the step's summary and outputs."""
    if not printed:
        for command in github.annotate(decision):
            sys.stderr.write(f"{command}\n")
    _append("GITHUB_STEP_SUMMARY", markdown(decision, SUMMARY_LIMIT))
    _append("GITHUB_OUTPUT", github.outputs(decision))


def _append(variable: str, said: str) -> None:
    """Add to a file that the runner names; other steps' lines in it stay."""
    name = os.environ.get(variable)
    if not name:
        return
    path = Path(name)
    with disk_faults(path), path.open("a", encoding="utf-8") as file:
        file.write(said)


def _write(path: Path, said: str) -> None:
    if path.is_dir():
        raise EnvironmentFault(f"{path} is a directory; name a file")
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, said)
