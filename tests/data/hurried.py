"""Imported where `data pull` is tried against faults, before its libraries: waits for a hub take a twentieth."""

from __future__ import annotations

import time

from distbench.cli.data import _prepare_libraries
from distbench.data import hub

_sleep = time.sleep
time.sleep = lambda seconds: _sleep(seconds / 20)
hub.API_SECONDS = 1
_prepare_libraries()
