"""Training a causal language model on a token signal, with whatever losses and teachers its recipe names."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distbench.data.token_signal import TokenSignal
from distbench.errors import RunError, UsageError
from distbench.protocols import LearnReport, LearnSession, TrainingRecipe
from distbench.store.leftovers import temporary_folder
from distbench.training import checkpoints, memory, sharding
from distbench.training.board import Board
from distbench.training.board_callback import BoardCallback
from distbench.training.diary import Diary, thin
from distbench.training.foreign import Foreigner
from distbench.training.looks import Look, look
from distbench.training.lora import adapt, merge
from distbench.training.objective import Weighted, losses_of
from distbench.training.precision import autocast
from distbench.training.processes import Processes
from distbench.training.pupil import ACROSS, Pupil
from distbench.training.rewriting import Rewriter
from distbench.training.schedule import Schedule
from distbench.training.teachers import Tutors
from distbench.training.trainer import Collate, DistilTrainer, Rows, Watch, stay_on


def train(model: Any, signal: TokenSignal, recipe: TrainingRecipe, session: LearnSession) -> LearnReport:
    """Train a loaded `HFCausal` in place and report what it did.

    Of several processes only the first one's model and report are whole at the end. Raises RunError when the loss is no
    longer finite, EnvironmentFault when a checkpoint does not fit on the disk.
    """
    processes = Processes.here()
    processes.check(session.launch)
    if signal.examples == 0 or signal.train.positions == 0:
        raise RunError("0 examples to learn from")
    signal.train.check_context(model, "student")
    module, dtype = model.module, next(model.module.parameters()).dtype
    module.float()  # AdamW's small steps are lost in half precision
    losses = losses_of(recipe.terms)
    schedule = Schedule.of(recipe.budget, signal.examples)
    before = look(module, signal.heldout) if processes.leads else None
    lora = recipe.budget.lora
    adapted = {"lora": adapt(module, lora, recipe.seed)} if lora is not None else {}
    with _folder(session.scratch) as folder:
        pupil = _pupil(model, losses, recipe, signal, session)
        course = Course(model, pupil, signal, recipe, schedule, folder, session, processes)
        diary, resumed = course.run()
        course.make_whole()
        if before is None:
            return LearnReport(steps=None, units=0, epochs=0.0, heldout_before=None, heldout_after=None, heldout_n=0)
        kept = course.restore_best(diary)
    module = model.module
    if adapted:
        merge(module)
    module.to(dtype).eval()
    after = look(module, signal.heldout)
    report = _report(course, diary, (before, after), kept, resumed)
    report.options |= adapted
    return report


@contextmanager
def _folder(scratch: Path | None) -> Iterator[Path]:
    """Give the folder of checkpoints: the cell's, or one that is gone afterwards."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        yield scratch
    else:
        with temporary_folder("train") as folder:
            yield folder


def _pupil(
    model: Any, losses: list[Weighted], recipe: TrainingRecipe, signal: TokenSignal, session: LearnSession
) -> Pupil:
    """Return the student with its objective; teachers are loaded only where something asks them in training."""
    module, asks = model.module, {each.asks for each in losses} - {"nothing"}
    if not asks:
        return Pupil(module, losses)
    if asks == {"distribution"} and signal.recorded is not None and not recipe.on_policy:
        return Pupil(module, losses, temperature=signal.recorded.temperature)
    if not session.teachers:
        raise UsageError(f"losses that ask a teacher's {', '.join(sorted(asks))} need a teacher while training")
    teachers = [handle.open() for handle in session.teachers]
    if ACROSS not in asks:
        return Pupil(module, losses, Tutors([each.module for each in teachers], session.weights), recipe.temperature)
    if asks != {ACROSS} or len(teachers) != 1:
        raise UsageError("a teacher with another tokenizer is one teacher, and labels are all that goes with it")
    return Pupil(module, losses, foreigner=Foreigner(teachers[0].module, teachers[0].tokenizer, model.tokenizer))


@dataclasses.dataclass
class Course:
    """One training, from its budget to the weights that are kept."""

    model: Any
    pupil: Pupil
    signal: TokenSignal
    recipe: TrainingRecipe
    schedule: Schedule
    folder: Path
    session: LearnSession
    processes: Processes
    outline: Any = None  # of the student, where its weights are divided among the processes

    @property
    def sharded(self) -> bool:
        """Whether every process holds a part of the weights."""
        launch = self.session.launch
        return launch is not None and launch.processes > 1 and launch.sharding == "fsdp2"

    @property
    def by_labels(self) -> bool:
        """Whether looks are judged by the labels: a control may not be chosen by its distance to the teacher."""
        learns_from_teacher = self.pupil.asks_teacher or bool(self.pupil.features)
        return not learns_from_teacher or self.signal.heldout.logp is None

    def run(self) -> tuple[Diary, int | None]:
        """Train; return the diary, and the step of the checkpoint it went on from."""
        checkpoint = self.processes.shared(checkpoints.newest(self.folder) if self.processes.leads else None)
        diary = Diary.read(checkpoints.facts_of(checkpoint)) if checkpoint else Diary()
        watch = Watch(self.schedule, diary, self.session.progress, self._look, self._keep)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = self._trainer(diary, watch)
            watch.trainer = trainer
            if self.sharded:
                self._shard()
            watch.tokens_a_step = self.tokens_a_step
            with memory.kept():
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        return diary, checkpoints.step_of(checkpoint) if checkpoint else None

    @property
    def tokens_a_step(self) -> int:
        """Positions that count in an average step."""
        rows = self.schedule.batch_size * self.schedule.accumulate
        return round(min(rows, self.signal.examples) * self.signal.train.positions / self.signal.examples)

    def _shard(self) -> None:
        if self.recipe.on_policy:
            raise UsageError(
                "on_policy with launch: {sharding: fsdp2}: the processes write texts of different lengths, and weights "
                "that are divided are gathered in step; use sharding: none"
            )
        self.outline = sharding.outline(self.pupil.student)
        teachers = self.pupil.tutors.modules if self.pupil.tutors else []
        bfloat16 = autocast(self.recipe.budget.precision, self.model.settings.device)
        sharding.shard(self.pupil, teachers, bfloat16=bfloat16)

    def make_whole(self) -> None:
        """Give the model whole weights again: the first process's, which goes on alone."""
        if self.outline is None:
            return
        state = sharding.whole_state(self.pupil.student, keep=self.processes.leads)
        if self.processes.leads:
            sharding.fill(self.outline, state)
            self.model.module = self.outline

    def _look(self) -> float:
        """Return what looks are judged by: the first process's value. Weights that are divided are gathered by all."""
        if self.outline is not None:
            with sharding.gathered(self.pupil):
                return self.processes.shared(self._seen())
        return self.processes.shared(self._seen() if self.processes.leads else 0.0)

    def _seen(self) -> float:
        seen = look(self.pupil.student, self.signal.heldout)
        return seen.cross_entropy if self.by_labels or seen.kl is None else seen.kl

    # -- the weights that are kept ----------------------------------------------------------------------------------

    def _keep(self, step: int) -> None:
        """Write the weights of the best look so far; an older one stays as long as a checkpoint may return to it."""
        from safetensors.torch import save_file, save_model

        part = self.folder / f"best-{step}.part"
        size = sum(each.numel() * each.element_size() for each in self.pupil.student.parameters())
        if self.outline is not None:
            state = sharding.whole_state(self.pupil.student, keep=self.processes.leads)
        if not self.processes.leads:
            return
        with checkpoints.writing(self.folder, size):
            if self.outline is not None:
                save_file(state, str(part))
            else:
                save_model(self.pupil.student, str(part))
        part.rename(self.folder / f"best-{step}.safetensors")
        sealed = (Diary.read(checkpoints.facts_of(each)).best for each in checkpoints.complete(self.folder))
        needed = {step, *(best[0] for best in sealed if best is not None)}
        for old in self.folder.glob("best-*.safetensors"):
            if int(old.stem.removeprefix("best-")) not in needed:
                old.unlink()

    def restore_best(self, diary: Diary) -> int | None:
        """Put the best look's weights back; return its step, or None where the last ones stay."""
        from safetensors.torch import load_model

        if diary.best is None or (diary.curve and diary.best[0] == diary.curve[-1][0]):
            return None
        load_model(self.model.module, str(self.folder / f"best-{diary.best[0]}.safetensors"))
        return diary.best[0]

    # -- transformers -----------------------------------------------------------------------------------------------

    def _trainer(self, diary: Diary, watch: Watch) -> DistilTrainer:
        from transformers.trainer_callback import PrinterCallback, ProgressCallback

        trainer = DistilTrainer(
            model=self.pupil,
            args=self._arguments(),
            train_dataset=Rows(self.signal.examples),
            data_collator=Collate(self.signal),
            callbacks=[watch, *self._board(diary)],
            diary=diary,
            schedule=self.schedule,
            rewrite=self._rewriter(),
            processes=self.processes,
            sharded=self.sharded,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        return trainer

    def _board(self, diary: Diary) -> list[BoardCallback]:
        if self.session.board is None or not self.processes.leads:
            return []
        return [BoardCallback(Board(self.session.board, diary))]

    def _rewriter(self) -> Rewriter | None:
        share = self.recipe.on_policy
        return Rewriter(self.pupil.student, share, self.recipe.seed, self.processes.rank) if share else None

    def _arguments(self) -> Any:
        from transformers import TrainingArguments

        s, settings = self.schedule, self.model.settings
        arguments = TrainingArguments(
            output_dir=str(self.folder),
            per_device_train_batch_size=-(-s.batch_size // self.processes.count),
            gradient_accumulation_steps=s.accumulate,
            max_steps=s.steps,
            learning_rate=s.learning_rate,
            lr_scheduler_type=s.schedule if s.schedule != "constant" else "constant_with_warmup",
            warmup_steps=s.warmup_steps,
            weight_decay=s.weight_decay,
            max_grad_norm=s.max_grad_norm,
            optim="adamw_torch_fused",
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            use_cpu=settings.device == "cpu",
            bf16=autocast(self.recipe.budget.precision, settings.device),
            seed=self.recipe.seed,
            data_seed=self.recipe.seed,
            dataloader_num_workers=0,
            ddp_broadcast_buffers=False,
            ddp_find_unused_parameters=not self.pupil.vocabulary or self.pupil.foreigner is not None,
        )
        if settings.device != "cpu":
            stay_on(settings.device, arguments)
        return arguments


def _report(
    course: Course, diary: Diary, looks: tuple[Look, Look], kept: int | None, resumed: int | None
) -> LearnReport:
    before, after = looks
    steps = diary.curve[-1][0] if diary.curve else 0
    schedule = course.schedule
    options = schedule.facts() | {
        "temperature": course.recipe.temperature,
        "precision": "bfloat16"
        if autocast(course.recipe.budget.precision, course.model.settings.device)
        else "float32",
        "teacher": course.pupil.teacher,
        **({"on_policy": course.recipe.on_policy} if course.recipe.on_policy else {}),
        "heldout_cross_entropy": [before.cross_entropy, after.cross_entropy],
        "training_seconds": diary.seconds,
    }
    if course.pupil.head is None:
        options["logits"] = "whole: this architecture changes its logits after the output head"
    if diary.looks:
        options["looked_at"] = "cross-entropy on held-out labels" if course.by_labels else "KL to the teacher"
    return LearnReport(
        steps=steps,
        units=steps * course.tokens_a_step,
        epochs=schedule.epochs * steps / schedule.steps,
        heldout_before=before.kl,
        heldout_after=after.kl,
        heldout_n=after.positions,
        loss=thin(diary.curve),
        options=options,
        heldout=diary.looks,
        kept_step=kept,
        stopped=diary.stopped,
        resumed_from=resumed,
    )
