"""`doctor`: what this machine can do, and what to do about what it cannot."""

from __future__ import annotations

from dataclasses import asdict

from distbench.cli.doctor.abilities import extras, instruments, meters, plugin_needs
from distbench.cli.doctor.devices import read_devices
from distbench.cli.doctor.finding import Finding
from distbench.cli.doctor.machine import disk, read_machine, software
from distbench.cli.doctor.noise import measure_noise
from distbench.cli.output import out, print_json

LOOKS = (read_machine, read_devices, meters, instruments, plugin_needs, extras, disk, software)


def show_doctor(*, as_json: bool, check: bool = False) -> None:
    """Print all findings; a machine without a GPU is a finding, not an error. `check`: also how noisy it is."""
    findings = [finding for look in LOOKS for finding in look()]
    if check:
        findings.append(measure_noise())
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            out().print(f"\n{group}", markup=False, style="bold")
        out().print(_line(finding), markup=False, soft_wrap=True)


def _line(finding: Finding) -> str:
    mark = "no  " if not finding.usable else "note" if finding.remedy else "ok  "
    remedy = f"  →  {finding.remedy}" if finding.remedy else ""
    return f"  {mark}  {finding.what:<26} {finding.seen}{remedy}"
