"""What was measured, arranged for reading: by kind, beside the teacher measured against itself, with percentiles."""

from __future__ import annotations

from dataclasses import dataclass

from distbench.report import numbers
from distbench.report.numbers import DASH, Shown
from distbench.report.view import MeasureKey, View
from distbench.report.words import humanise, metric_words
from distbench.schema.record import Agreement
from distbench.schema.result import Measurement, PercentileFacts, StudentResult, TeacherResult

MS = 1e-3  # of a second
FEWEST_TIMES = 5
_UNASKED = "not measured for this model"


@dataclass(frozen=True)
class Kind:
    """Measures that are read together: the table's id, a heading, the meters, and what the numbers mean."""

    anchor: str
    title: str
    meters: tuple[str, ...]
    intro: str
    charts: int
    beside: bool = False  # one row a model, one column a measure: for sizes that are read together


KINDS = (
    Kind(
        "speed",
        "How fast",
        ("latency", "throughput", "server", "load"),
        "How long an answer takes, in seconds or milliseconds (ms, thousandths of a second), and how much work is done "
        "in a second: tokens (pieces of words), samples or requests. Teacher and student took turns on one machine, so "
        "that what disturbed one disturbed the other.",
        4,
    ),
    Kind(
        "memory",
        "How much memory",
        ("memory",),
        "How much working memory a model takes, in bytes (1 GB = 1,000,000,000 bytes). The peak says whether it fits a "
        "machine; the model's part leaves out Python and its libraries; the key-value cache grows with every token of "
        "context.",
        2,
        beside=True,
    ),
    Kind(
        "energy",
        "How much energy",
        ("energy",),
        "How much electricity the work takes, in joules (J): one joule is one watt for one second. Gross is everything "
        "that the instrument saw; net leaves out what the idle machine would have drawn in that time.",
        2,
    ),
)
OTHER = Kind("other", "Other measures", (), "What further meters read, each in its own unit.", 2)


@dataclass(frozen=True)
class Row:
    """One measure of one student, and what the same measure made of two equal models: the noise floor."""

    key: MeasureKey
    student: StudentResult
    found: Measurement
    again: Measurement | None


@dataclass(frozen=True)
class Block:
    """The rows of one kind."""

    kind: Kind
    keys: list[MeasureKey]
    rows: list[Row]

    @property
    def students(self) -> list[StudentResult]:
        """The students that have a row, in the page's order."""
        return list({row.student.name: row.student for row in self.rows}.values())

    @property
    def controlled(self) -> bool:
        """Whether some row has a noise floor."""
        return any(row.again for row in self.rows)


def blocks(view: View) -> list[Block]:
    """Return every kind of which something was measured."""
    known = {meter for kind in KINDS for meter in kind.meters}
    made = []
    for kind in (*KINDS, OTHER):
        keys = [key for key in view.measures if key.meter in kind.meters or (kind is OTHER and key.meter not in known)]
        if keys:
            made.append(Block(kind, keys, [row for key in keys for row in _rows(view, key)]))
    return made


def _rows(view: View, key: MeasureKey) -> list[Row]:
    found = [(student, view.measurement(student, key)) for student in view.students]
    return [Row(key, student, each, again_of(view, student, each)) for student, each in found if each is not None]


def again_of(view: View, student: StudentResult, found: Measurement) -> Measurement | None:
    """Return the teacher against itself under the same measure.

    A teacher with many students was measured several times; the control that belongs to a student is the one whose
    first side is the student's.
    """
    teacher = view.teacher_of(student)
    fitting = [each for each in teacher.again if MeasureKey.of(each) == MeasureKey.of(found)] if teacher else []
    same = [each for each in fitting if each.teacher == found.teacher]
    return next(iter(same or fitting), None)


@dataclass(frozen=True)
class Floor:
    """A teacher against itself under the quoted measure of speed."""

    teacher: TeacherResult
    key: MeasureKey
    shown: Shown
    holds: bool  # the interval has 1 in it, or there is none


def noise_floors(view: View) -> list[Floor]:
    """Return what this machine made of two equal models, once for each measurement of a teacher."""
    key = view.headline_measure("latency") or view.headline_measure("throughput") or view.headline_measure("server")
    if key is None:
        return []
    return [
        Floor(teacher, key, numbers.as_ratio(each.ratio, (1.0,)), _holds(each))
        for teacher in view.result.teachers
        for each in teacher.again
        if MeasureKey.of(each) == key
    ]


def _holds(again: Measurement) -> bool:
    low, high = again.ratio.lo, again.ratio.hi
    return low is None or high is None or low <= 1 <= high


@dataclass(frozen=True)
class Spread:
    """How the times of one model under one measure spread; `student` None: a teacher's. `times` in ms, sorted."""

    key: MeasureKey
    label: str
    student: StudentResult | None
    facts: list[PercentileFacts]
    times: list[float]

    @property
    def drawable(self) -> bool:
        """Whether there is enough to draw: two percentiles, or as many times as bound a median."""
        return sum(each.value is not None for each in self.facts) > 1 or len(self.times) >= FEWEST_TIMES


def spreads(view: View) -> list[Spread]:
    """Return the percentiles of every model, each teacher's once for each time that it was measured."""
    found: dict[MeasureKey, list[Spread]] = {}
    for key in view.measures:
        for student in view.students:
            each = view.measurement(student, key)
            teacher = view.teacher_of(student)
            if each is None:
                continue
            here = found.setdefault(key, [])
            label = teacher.label if teacher else "teacher"
            mine = Spread(key, label, None, each.teacher_percentiles, each.teacher_times)
            if mine.facts and mine not in here:
                here.append(mine)
            if each.student_percentiles:
                here.append(Spread(key, student.label, student, each.student_percentiles, each.student_times))
    return [each for rows in found.values() for each in rows]


def shown_percentile(found: PercentileFacts) -> Shown:
    """Return a percentile with its upper bound, or how many samples it would need."""
    if found.value is None:
        why = f"not enough samples ({numbers.count(found.n)} of {numbers.count(found.needs)})"
        return Shown(f"{DASH} {why}", title=why, missing=True)
    upper = "" if found.upper is None else f"≤ {numbers.duration(found.upper * MS)}"
    title = f"{numbers.items(found.n)}; at most {upper.removeprefix('≤ ')} at 95 %" if upper else numbers.items(found.n)
    return Shown(numbers.duration(found.value * MS), upper, title, found.value)


def shown_side(found: Measurement, side: str) -> Shown:
    """Return the median of the teacher or the student, the range of an estimate, or why there is neither."""
    value = found.teacher if side == "teacher" else found.student
    if side in found.estimates:
        low, high = found.estimates[side]
        span = f"{numbers.quantity(low, found.unit)} to {numbers.quantity(high, found.unit)}"
        return Shown(span, "estimated", "from assumed power, not measured")
    why = found.reason or found.ratio.reason or "no reason given"
    if value is None:
        return Shown(DASH, title=why, missing=True)
    return Shown(numbers.quantity(value, found.unit), sort=value)


def heading(block: Block, key: MeasureKey) -> str:
    """Return a measure in words, with its workload where the same metric was read under several."""
    alone = sum(each.metric == key.metric for each in block.keys) == 1
    return metric_words(key.metric) if alone else key.title


def teacher_sizes(view: View, block: Block) -> list[tuple[TeacherResult, list[Shown]]]:
    """Return each teacher with its side of every measure; where it was measured several times, the first value."""
    made = []
    for teacher in view.result.teachers:
        mine = [row for row in block.rows if view.teacher_of(row.student) is teacher]
        if not mine:
            continue
        sides: dict[MeasureKey, Shown] = {}
        for row in mine:
            shown = shown_side(row.found, "teacher")
            if row.key not in sides or sides[row.key].missing:
                sides[row.key] = shown
        made.append((teacher, [sides.get(key) or numbers.nothing(_UNASKED) for key in block.keys]))
    return made


def student_sizes(view: View, block: Block, student: StudentResult) -> list[tuple[Shown, str]]:
    """Return a student's side of every measure with its ratio to the teacher in words."""
    found = {row.key: row.found for row in block.rows if row.student is student}
    return [_size(view, found.get(key)) for key in block.keys]


def _size(view: View, found: Measurement | None) -> tuple[Shown, str]:
    if found is None:
        return numbers.nothing(_UNASKED), ""
    ratio = view.measured_ratio(found)
    side = shown_side(found, "student")
    if side.missing or ratio.missing:
        return ratio if side.missing else side, ""
    return side, f"{ratio.text} {ratio.interval.replace(' ', numbers.SPACE)}"  # an interval never breaks in the middle


def about(found: Measurement) -> list[str]:
    """Return what the instrument said of itself on the student's side, else on the teacher's."""
    facts = found.facts.get("student") or found.facts.get("teacher") or {}
    return [f"{humanise(name)}: {_fact(name, value)}" for name, value in facts.items()]


def _fact(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    if name.endswith("_seconds"):
        return numbers.duration(value)
    return f"{value:,.4g}"


def tokens_equal(found: Agreement) -> str:
    """Return how many greedy tokens an exported model shares with its source."""
    return f"{numbers.count(found.greedy_equal)} of {numbers.count(found.greedy_total)}"
