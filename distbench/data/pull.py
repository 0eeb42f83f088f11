"""Fetch once what tasks need, pin it by content, check it ever after.

`<folder>/<task>/<split>.jsonl`, `<folder>/models/<repo>/` and `<folder>/pull.lock.json`. A task is in the lock when all
of its files are in place, so an interrupted pull goes on where it stopped.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from distbench import __version__
from distbench.data import hub
from distbench.data.checkpoint import ONLY_PICKLES, check_checkpoint
from distbench.data.json_lines import refuse_another_reading, refuse_other_than_json, write_json_lines
from distbench.data.trust import NOBODY, Trust
from distbench.errors import DistbenchError, EnvironmentFault, RefusedError, UsageError
from distbench.hashing import file_digest
from distbench.schema.pull import LockedFile, LockedModel, LockedTask, PullLock
from distbench.schema.wording import first_fault
from distbench.store.files import disk_faults, is_device, sync_folder, write_text

LOCK = "pull.lock.json"
SPARE = 64 << 20  # bytes that stay free
BLOW_UP = 6  # bytes on disk for a byte of compressed download: itself, unpacked, as JSON Lines, and read back


@dataclass(frozen=True)
class Wanted:
    """What one task reads."""

    task: str
    source: hub.Source
    splits: tuple[str, ...]
    task_digest: str
    lm_eval: str


@dataclass(frozen=True)
class WantedModel:
    """A model that the suite names by its hub id; `source` is the text in the suite."""

    source: str
    repo: str
    revision: str | None
    trust: Trust = NOBODY


Report = Callable[[str, str], None]
"""Called with (task or model, what became of it)."""


class Pull:
    """A folder of pulled data. One process at a time (`held`)."""

    def __init__(self, folder: Path, *, refresh: bool = False) -> None:
        self.folder, self.refresh = folder, refresh
        self.lock = PullLock(distbench=__version__)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Own the folder while it is written. Raises RefusedError where a file is not what was pinned."""
        if self.folder.exists() and not self.folder.is_dir():
            raise EnvironmentFault(f"{self.folder} is a file; --to names a folder")
        with disk_faults(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        guard = FileLock(self.folder / ".pull.lock", timeout=0)
        try:
            guard.acquire()
        except Timeout:
            raise EnvironmentFault(f"another process pulls to {self.folder}; wait for it") from None
        except OSError as error:
            raise EnvironmentFault(f"cannot write to {self.folder}: {error.strerror}") from error
        try:
            if not self.refresh and (old := read_lock(self.folder)) is not None:
                self.lock = old
                refuse_changed(self.folder, old)
            yield
        finally:
            guard.release()

    def pull(self, tasks: Sequence[Wanted], models: Sequence[WantedModel], report: Report) -> None:
        """Fetch what is not there. A task that cannot be had does not stop the others; they are named at the end.

        Raises the first such error; EnvironmentFault at once where the hub does not answer.
        """
        failed: dict[str, DistbenchError] = {}
        jobs: list[tuple[str, Callable[[], str]]] = [(task.task, partial(self._task, task)) for task in tasks]
        jobs += [(model.source, partial(self._model, model)) for model in models]
        for name, job in jobs:
            try:
                report(name, job())
            except hub.Unreachable:
                raise
            except DistbenchError as error:
                failed[name] = error
                report(name, f"FAILED: {error}")
        if failed:
            first = next(iter(failed.values()))
            others = f" (and {len(failed) - 1} more: {', '.join(list(failed)[1:6])})" if len(failed) > 1 else ""
            raise type(first)(f"{len(failed)} of {len(jobs)} cannot be pulled: {first}{others}")

    def write_suite(self, text: str) -> Path:
        """Write the suite that runs on the pulled files. A suite that was changed by hand is not written over."""
        path = self.folder / "suite.yaml"
        if path.exists() and not self.refresh and self.lock.suite is None:
            raise UsageError(f"{path} exists already and was not pulled; name another folder")
        write_text(path, text)
        self._keep(suite=LockedFile(path=path.name, sha256=file_digest(path)))
        return path

    # -- one task, one model ----------------------------------------------------------------------------------------

    def _task(self, wanted: Wanted) -> str:
        old = self.lock.tasks.get(wanted.task)
        if old is not None:
            _refuse_other_task(old, wanted)
            return f"complete: {_rows(old)}"
        found = hub.find("dataset", wanted.source.repo, wanted.source.revision)
        with self._workplace() as folder:
            splits = self._fetch(wanted, found, folder)
        new = LockedTask(
            task=wanted.task, repo=wanted.source.repo, commit=found.commit, config=wanted.source.config, splits=splits,
            task_digest=wanted.task_digest, lm_eval=wanted.lm_eval,
        )  # fmt: skip
        self._keep(tasks={**self.lock.tasks, wanted.task: new})
        return f"fetched: {_rows(new)}"

    def _fetch(self, wanted: Wanted, found: hub.Found, folder: Path) -> dict[str, LockedFile]:
        builder, size = hub.open_dataset(wanted.source, found, wanted.splits, folder)
        self._refuse_too_large(wanted.source.repo, size * BLOW_UP)
        hub.download(wanted.source, builder)
        ready = {}
        for split in wanted.splits:
            what = f"data set {wanted.source.repo!r}, split {split!r}"
            rows = builder.as_dataset(split=split)
            refuse_other_than_json(rows.features, what)
            draft = folder / f"{split}.jsonl"
            count = write_json_lines(rows, draft, what)
            if not count:
                raise RefusedError(f"{what}: 0 rows")
            refuse_another_reading(draft, rows, folder, what)
            ready[split] = (draft, count)
        return {split: self._publish(wanted.task, split, *pair) for split, pair in ready.items()}

    def _publish(self, task: str, split: str, draft: Path, rows: int) -> LockedFile:
        path = self.folder / folder_name(task) / f"{folder_name(split)}.jsonl"
        if is_device(path):
            raise EnvironmentFault(f"{path} is a device or a pipe; data is kept in files")
        with disk_faults(path):
            path.parent.mkdir(exist_ok=True)
            draft.replace(path)
            sync_folder(path.parent)
        return LockedFile(path=path.relative_to(self.folder).as_posix(), sha256=file_digest(path), rows=rows)

    def _model(self, wanted: WantedModel) -> str:
        if (old := self.lock.models.get(wanted.source)) is not None:
            return f"complete: {len(old.files)} files of {old.repo}"
        found = hub.find("model", wanted.repo, wanted.revision)
        if not hub.weights_of(found, wanted.trust) and any(name.endswith(".bin") for name in found.sizes):
            raise RefusedError(f"model {wanted.repo!r} {ONLY_PICKLES}")
        self._refuse_too_large(wanted.repo, sum(found.sizes[name] for name in hub.weights_of(found, wanted.trust)))
        target = self.folder / "models" / folder_name(wanted.repo)
        with self._workplace() as folder:
            draft = folder / "model"
            hub.download_model(wanted.repo, found, draft, wanted.trust)
            shutil.rmtree(draft / ".cache", ignore_errors=True)  # huggingface_hub's notes
            check_checkpoint(draft, wanted.trust)
            with disk_faults(target):
                target.parent.mkdir(exist_ok=True)
                shutil.rmtree(target, ignore_errors=True)
                draft.rename(target)
                sync_folder(target.parent)
        files = [
            LockedFile(path=path.relative_to(self.folder).as_posix(), sha256=file_digest(path))
            for path in sorted(target.rglob("*"))
            if path.is_file()
        ]
        place = target.relative_to(self.folder).as_posix()
        new = LockedModel(source=wanted.source, repo=wanted.repo, commit=found.commit, folder=place, files=files)
        self._keep(models={**self.lock.models, wanted.source: new})
        return f"fetched: {len(files)} files of {wanted.repo}"

    # -- the folder -------------------------------------------------------------------------------------------------

    @contextmanager
    def _workplace(self) -> Iterator[Path]:
        """Give a folder on the same disk that is removed afterwards, whatever happens."""
        for leftover in self.folder.glob(".tmp-pull-*"):  # of a process that was killed; we hold the lock
            shutil.rmtree(leftover, ignore_errors=True)
        with disk_faults(self.folder):
            folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=".tmp-pull-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _refuse_too_large(self, repo: str, need: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if need + SPARE > free:
            raise EnvironmentFault(
                f"not enough room at {self.folder} for {repo!r} "
                f"(need {(need + SPARE) >> 20} MiB, have {free >> 20} MiB)"
            )

    def _keep(self, **changes: object) -> None:
        self.lock = self.lock.model_copy(update=changes)
        write_text(self.folder / LOCK, self.lock.model_dump_json(indent=1) + "\n")


def read_lock(folder: Path) -> PullLock | None:
    """Return the lock of a folder, or None where it has none. RefusedError for one that cannot be read."""
    path = folder / LOCK
    try:
        return PullLock.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise RefusedError(f"{path} is damaged, or of another version of distbench: at {first_fault(error)}") from None


def refuse_changed(folder: Path, lock: PullLock, *, suite: bool = True) -> None:
    """Raise RefusedError where a locked file is missing or is not what was pinned."""
    files = [file for task in lock.tasks.values() for file in task.splits.values()]
    files += [file for model in lock.models.values() for file in model.files]
    files += [lock.suite] if suite and lock.suite is not None else []
    for file in files:
        path = folder / file.path
        if ".." in Path(file.path).parts or Path(file.path).is_absolute():
            raise RefusedError(f"{folder / LOCK} names {file.path!r}, which leaves its folder")
        if not path.is_file():
            raise RefusedError(f"{path} is missing; distbench data pull --refresh fetches it again")
        if (found := file_digest(path)) != file.sha256:
            raise RefusedError(
                f"{path} is not the file that was pulled (its SHA-256 is {found[:12]}…, {LOCK} has "
                f"{file.sha256[:12]!r}…); restore it, or fetch it again with distbench data pull --refresh"
            )


def check_pulled(folder: Path) -> None:
    """Refuse to run on pulled data that was changed since. A folder without a lock holds no pulled data."""
    if (lock := read_lock(folder)) is not None:
        refuse_changed(folder, lock, suite=False)  # thresholds and the like may be changed by hand


def folder_name(name: str) -> str:
    """Return a name that is one safe folder or file: `org/model` → `org__model`."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name.replace("/", "__")).lstrip(".") or "_"


def _refuse_other_task(old: LockedTask, wanted: Wanted) -> None:
    now = (wanted.source.repo, wanted.source.config, set(wanted.splits), wanted.task_digest)
    if (old.repo, old.config, set(old.splits), old.task_digest) != now:
        raise RefusedError(
            f"task {wanted.task!r} was pulled for lm-eval {old.lm_eval}, and lm-eval {wanted.lm_eval} defines it "
            "otherwise; install the former, or fetch again with --refresh"
        )


def _rows(task: LockedTask) -> str:
    parts = ", ".join(f"{split} {file.rows}" for split, file in task.splits.items())
    return f"{parts} ({task.repo}@{task.commit[:8]})"
