"""RAPL on a tree of files that the test moves: what is summed, what never is, wraps, refusals, permissions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.filling import check_plausible, filled
from distbench.meters.energy.options import EnergyOptions
from distbench.meters.energy.rapl import Rapl
from distbench.meters.energy.sources import choose
from distbench.protocols import Shape, Timing
from tests.meters.energy.bench import work_at
from tests.meters.energy.conftest import in_child

RANGE = 262_143_328_850  # microjoules, as desktop packages have it
ROOT = Path(__file__).parents[3]


class Tree:
    """/sys/class/powercap of a machine with two packages."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def zone(self, folder: str, name: str, energy: int = 0, limit: int | None = None) -> None:
        place = self.root / folder
        place.mkdir(parents=True)
        (place / "name").write_text(name + "\n")
        (place / "max_energy_range_uj").write_text(f"{RANGE}\n")
        self.put(folder, energy)
        if limit is not None:
            (place / "constraint_0_power_limit_uw").write_text(f"{limit * 10**6 // 2}\n")
            (place / "constraint_1_power_limit_uw").write_text(f"{limit * 10**6}\n")

    def put(self, folder: str, energy: int) -> None:
        new = self.root / "new"
        new.write_text(f"{energy}\n")
        new.replace(self.root / folder / "energy_uj")  # sysfs shows no half-written number either


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    for package in (0, 1):
        made.zone(f"intel-rapl:{package}", f"package-{package}", limit=100)
        made.zone(f"intel-rapl:{package}:0", "core")
        made.zone(f"intel-rapl:{package}:1", "dram")
    made.zone("intel-rapl:0:2", "uncore")
    made.zone("intel-rapl:2", "psys")
    made.zone("intel-rapl-mmio:0", "package-0")
    return made


class Stepping:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_packages_and_memory_are_summed_and_nothing_twice(tree: Tree) -> None:
    rapl = Rapl(tree.root)
    assert rapl.scope == "CPU package + DRAM"
    for number, zone in enumerate(sorted(path.name for path in tree.root.iterdir())):
        tree.put(zone, 10**number)
    names = sorted(path.name for path in tree.root.iterdir())
    counted = ("intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl:1:1")
    assert rapl.joules() == pytest.approx(sum(10 ** names.index(zone) for zone in counted) * 1e-6)
    assert "mmio" not in str(rapl.facts())
    assert "psys" not in str(rapl.facts())


def test_a_tree_that_shows_zones_twice_counts_them_once(tmp_path: Path) -> None:
    """The kernel lists every zone at the top and, through a link, inside its package."""
    tree = Tree(tmp_path)
    tree.zone("intel-rapl:0", "package-0")
    tree.zone("intel-rapl:0/intel-rapl:0:0", "dram")
    (tmp_path / "intel-rapl:0:0").symlink_to(tmp_path / "intel-rapl:0/intel-rapl:0:0")
    assert sorted(zone.name for zone in Rapl(tmp_path).zones) == ["dram", "package-0"]


def test_a_package_alone_is_another_scope(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.zone("intel-rapl:0", "package-0")
    assert Rapl(tmp_path).scope == "CPU package"


@pytest.mark.parametrize("wraps", [1, 5])
def test_wraps_are_undone_as_long_as_each_is_seen(tree: Tree, wraps: int) -> None:
    rapl = Rapl(tree.root)
    before = rapl.joules()
    for _ in range(wraps):  # three looks a wrap
        for energy in (RANGE // 3, 2 * RANGE // 3, 5):
            tree.put("intel-rapl:0", energy)
            now = rapl.joules()
    assert now - before == pytest.approx(wraps * RANGE * 1e-6, rel=1e-6)


def test_a_window_looks_often_enough_for_any_wrap(tree: Tree) -> None:
    """A kilowatt a zone wraps after 262 s: a quarter of that is the longest that a window goes without a look."""
    assert Rapl(tree.root).quarter_wrap() == pytest.approx(RANGE * 1e-6 / 1000 / 4)
    small = tree.root / "intel-rapl:1" / "max_energy_range_uj"
    small.write_text("40000000\n")  # 40 J: every 10 ms
    rapl = Rapl(tree.root)
    looks = []
    true_read = rapl.joules
    rapl.joules = lambda: looks.append(1) or true_read()  # type: ignore[method-assign,func-returns-value]
    import time

    with rapl.watch() as window:
        for step in range(1, 41):
            tree.put("intel-rapl:1", step * 15_000_000 % 40_000_001)
            time.sleep(0.02)
    assert len(looks) > 10
    assert window.joules == pytest.approx(40 * 15, abs=41)


def test_a_step_backwards_is_a_power_beyond_any_limit(tree: Tree) -> None:
    rapl = Rapl(tree.root)
    tree.put("intel-rapl:0", 5_000_000)
    rapl.joules()
    with rapl.watch() as window:
        tree.put("intel-rapl:0", 4_000_000)
    window.seconds = 1.0
    assert rapl.limit_watts() == 400
    with pytest.raises(EnergyFault, match=r"more than 1\.5 × the enforced limit of 400"):
        check_plausible(window, rapl.limit_watts())
    tree.put("intel-rapl:0", RANGE + 1)
    with pytest.raises(EnergyFault, match="beyond its range"):
        rapl.joules()


def test_work_is_divided_by_what_was_done(tree: Tree) -> None:
    rapl, clock = Rapl(tree.root), Stepping()
    energy = 0

    def work() -> Timing:
        nonlocal energy
        energy += 3_000_000
        tree.put("intel-rapl:1", energy)
        clock.now += 0.3
        return Timing((300_000_000,), 2, prompt_tokens=10, output_tokens=4)

    rapl._clock = clock
    found = filled(rapl, work, 1.0, clock)
    assert (found.joules, found.done.units, found.done.samples) == (pytest.approx(12.0), 4, 8)
    assert (found.done.prompt_tokens, found.done.output_tokens) == (40, 16)
    assert found.watts == pytest.approx(10.0)


def test_a_frozen_counter_is_refused_although_it_answers(tree: Tree) -> None:
    found = in_child(f"found = measure('cpu', powercap={str(tree.root)!r})")
    read = found["rounds"][0]["batch 2"]["gross_joules_per_token"]
    assert "frozen" in read["reason"]
    assert read["final"]


def test_no_counters_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EnergyFault, match="no RAPL counters") as fault:
        Rapl(tmp_path)
    assert "external" in fault.value.remedy
    Tree(tmp_path).zone("intel-rapl:0", "psys")
    with pytest.raises(EnergyFault, match="no RAPL counters"):
        Rapl(tmp_path)


def test_damage_is_named(tree: Tree) -> None:
    (tree.root / "intel-rapl:1" / "energy_uj").write_text("many\n")
    with pytest.raises(EnergyFault, match="'many', not a number"):
        Rapl(tree.root)


def test_auto_on_a_cpu_is_rapl_and_says_so(tree: Tree) -> None:
    source, why = choose(EnergyOptions(powercap=str(tree.root)), "cpu")
    assert source.name == "rapl"
    assert "computes on cpu" in why


def _as_nobody(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a child without root's right to read everything."""
    drop = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    imports = (
        "import encodings.ascii, sys\n"  # before the drop: Python itself may lie where nobody may look
        "from pathlib import Path\n"
        "from distbench.meters.energy.rapl import Rapl\n"
        "from distbench.meters.energy.meter_file import MeterFile\n"
        "from distbench.meters.energy.fault import EnergyFault\n"
    )
    body = f"try:\n    {code}\nexcept EnergyFault as fault:\n    print(fault.reason, '|', fault.remedy)"
    return subprocess.run(
        [sys.executable, "-c", imports + drop + body, *arguments],
        stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.fixture
def open_to_all(tmp_path: Path) -> Callable[[], None]:
    """Let another user walk down to a test's folder."""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("only root can become another user, and only root needs to: it reads everything")

    def walk() -> None:
        for folder in [tmp_path, *tmp_path.parents]:
            if folder.stat().st_uid == 0 and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o011)

    return walk


def test_a_counter_for_root_only_names_the_command(tree: Tree, open_to_all: Callable[[], None]) -> None:
    open_to_all()
    for path in tree.root.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    tree.root.chmod(0o755)
    assert _as_nobody("print(Rapl(Path(sys.argv[1])).scope)", str(tree.root)).stdout == "CPU package + DRAM\n"
    (tree.root / "intel-rapl:0" / "energy_uj").chmod(0o400)
    said = _as_nobody("Rapl(Path(sys.argv[1]))", str(tree.root)).stdout
    assert said.startswith("permission denied: ")
    assert f"sudo chmod a+r {tree.root}/intel-rapl:*/energy_uj" in said


def test_a_meter_file_for_root_only_names_the_command(tmp_path: Path, open_to_all: Callable[[], None]) -> None:
    open_to_all()
    file = tmp_path / "wall.csv"
    file.write_text("time,watts\n")
    file.chmod(0o400)
    said = _as_nobody("MeterFile(Path(sys.argv[1]), 'wall')", str(file)).stdout
    assert f"sudo chmod a+r {file}" in said


def test_the_work_of_the_bench_is_what_it_says() -> None:
    timing = work_at(Shape(2, 64, 32))()
    assert (timing.samples, timing.output_tokens) == (2, 64)
