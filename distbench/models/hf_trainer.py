"""Training a causal language model on a token signal: `transformers.Trainer` with one loss of ours."""

from __future__ import annotations

import tempfile
import warnings
from typing import Any

from distbench.errors import RunError
from distbench.protocols import LearnReport, Progress, TrainingRecipe
from distbench.schema.cell import Settings

DEFAULTS = {"epochs": 1.0, "batch_size": 8, "learning_rate": 2e-4}
WARMUP = 0.1
MAX_GRAD_NORM = 1.0


def soft_label_loss(logits: Any, top_ids: Any, top_logp: Any, temperature: float) -> Any:
    """Return the summed KL(teacher ‖ student) over positions, × T² (Hinton et al. 2015, section 2), in nats.

    logits [..., V]: the student's, before temperature; top_ids, top_logp [..., k]: the teacher's candidates at
    `temperature`. What is left of the teacher's mass is one rest bucket, matched against the student's rest.
    """
    import torch

    student = torch.log_softmax(logits.float() / temperature, dim=-1)
    chosen = student.gather(-1, top_ids)
    mass = top_logp.exp()
    tiny = torch.finfo(torch.float32).tiny
    rest = (1.0 - mass.sum(-1)).clamp_min(0.0)
    student_rest = (1.0 - chosen.exp().sum(-1)).clamp_min(1e-7)
    kl = (mass * (top_logp - chosen)).sum(-1) + rest * (rest.clamp_min(tiny).log() - student_rest.log())
    return kl.sum() * temperature**2


def heldout_kl(module: Any, signal: Any, batch_size: int = 4) -> float:
    """Return the mean KL(teacher ‖ student) over held-out positions, full vocabulary, temperature 1, nats per token."""
    import torch

    was_training = module.training
    module.eval()
    total = count = 0.0
    with torch.inference_mode():
        for first in range(0, signal.heldout_ids.shape[0], batch_size):
            ids = signal.heldout_ids[first : first + batch_size].long().to(module.device)
            teacher = signal.heldout_logp[first : first + batch_size].float().to(module.device)
            student = torch.log_softmax(module(ids[:, :-1], use_cache=False).logits.float(), dim=-1)
            total += float((teacher.exp() * (teacher - student)).sum())
            count += teacher.shape[0] * teacher.shape[1]
    module.train(was_training)
    return total / count


def _loss(module: Any, inputs: dict[str, Any], recipe: TrainingRecipe) -> Any:
    """Return the summed loss of a batch over its positions."""
    from torch.nn.functional import cross_entropy

    ids = inputs["ids"].long()
    logits = module(ids[:, :-1], use_cache=False).logits
    hard_weight = 1.0 if recipe.objective == "hard" else recipe.label_weight
    loss = logits.new_zeros((), dtype=logits.float().dtype)
    if hard_weight:
        hard = cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
        loss = loss + hard_weight * hard
    if hard_weight < 1.0:
        soft = soft_label_loss(logits, inputs["top_ids"].long(), inputs["top_logp"].float(), recipe.temperature)
        loss = loss + (1.0 - hard_weight) * soft
    return loss


def _trainer(module: Any, signal: Any, recipe: TrainingRecipe, arguments: Any, progress: Progress) -> Any:
    import torch
    from transformers import Trainer, TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(state.global_step, state.max_steps, "training")

    class DistilTrainer(Trainer):  # type: ignore[misc]
        curve: list[tuple[int, float]] = []  # noqa: RUF012 - replaced per instance below

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            # A sum over positions divided by the positions of the whole step: exact under gradient accumulation.
            positions = inputs["ids"].shape[0] * (inputs["ids"].shape[1] - 1)
            loss = _loss(model, inputs, recipe) / positions
            if not bool(torch.isfinite(loss)):
                rate = self.lr_scheduler.get_last_lr()[0] if self.lr_scheduler else arguments.learning_rate
                raise RunError(f"training diverged: loss {float(loss)} at step {self.state.global_step}, lr {rate:.3g}")
            self.curve.append((self.state.global_step, float(loss.detach())))
            return (loss, None) if return_outputs else loss

    rows = [
        {"ids": signal.ids[i], "top_ids": signal.top_ids[i], "top_logp": signal.top_logp[i]}
        for i in range(signal.examples)
    ]
    trainer = DistilTrainer(
        model=module,
        args=arguments,
        train_dataset=rows,
        data_collator=lambda batch: {name: torch.stack([row[name] for row in batch]) for name in batch[0]},
        callbacks=[Watch()],
    )
    trainer.curve = []
    trainer.model_accepts_loss_kwargs = False
    return trainer


def train(module: Any, signal: Any, recipe: TrainingRecipe, settings: Settings, progress: Progress) -> LearnReport:
    """Train in place; report held-out KL before and after, steps and predicted tokens."""
    from transformers import TrainingArguments
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    epochs = recipe.epochs or DEFAULTS["epochs"]
    batch_size = recipe.batch_size or int(DEFAULTS["batch_size"])
    rate = recipe.learning_rate or DEFAULTS["learning_rate"]
    steps = max(1, round(epochs * -(-signal.examples // batch_size)))
    before = heldout_kl(module, signal)
    with tempfile.TemporaryDirectory(prefix="distbench-train-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=batch_size,
            max_steps=steps,
            learning_rate=rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, round(WARMUP * steps)),
            weight_decay=0.0,
            max_grad_norm=MAX_GRAD_NORM,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            use_cpu=settings.device == "cpu",
            seed=recipe.seed,
            data_seed=recipe.seed,
        )
        trainer = _trainer(module, signal, recipe, arguments, progress)
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        trainer.train()
    module.eval()
    options = {
        "batch_size": batch_size,
        "learning_rate": rate,
        "schedule": "cosine",
        "warmup": WARMUP,
        "optimiser": "AdamW",
        "weight_decay": 0.0,
        "max_grad_norm": MAX_GRAD_NORM,
        "temperature": recipe.temperature,
    }
    length = signal.ids.shape[1] - 1
    return LearnReport(
        steps=steps,
        units=min(steps * batch_size, int(epochs * signal.examples) + batch_size) * length,
        epochs=epochs,
        heldout_before=before,
        heldout_after=heldout_kl(module, signal),
        heldout_n=int(signal.heldout_logp.shape[0] * signal.heldout_logp.shape[1]),
        loss=_thin(trainer.curve),
        options=options,
    )


def _thin(curve: list[tuple[int, float]], points: int = 100) -> list[tuple[int, float]]:
    """Average the loss curve down to at most `points` points."""
    width = max(1, -(-len(curve) // points))
    groups = [curve[i : i + width] for i in range(0, len(curve), width)]
    return [(group[-1][0], sum(loss for _, loss in group) / len(group)) for group in groups]
