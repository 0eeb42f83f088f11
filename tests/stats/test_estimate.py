from dataclasses import FrozenInstanceError

import pytest

from distbench.stats import Estimate, Interval, Status, identical


def test_an_estimate_knows_its_interval():
    assert Estimate(0.9, 0.8, 1.0, 10, "fieller_t").interval == Interval(0.8, 1.0)
    assert Estimate(None, None, None, 10, "fieller_t", Status.NO_SIGNAL, "chance").interval is None


def test_an_estimate_does_not_change():
    with pytest.raises(FrozenInstanceError):
        identical(1).value = 0.5


def test_a_status_reads_as_text():
    assert Status.OK == "ok"
    assert f"{Status.NO_SIGNAL}" == "no_signal"
