"""How a student learns: the terms of its objective, and what the training may spend."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from distbench.schema.strict import Strict, Use

TeacherOutputs = Literal["auto", "recorded", "online"]


class Term(Use):
    """One term of an objective: a loss plug-in, its options, and its weight in the sum."""

    weight: float = Field(1.0, gt=0, le=1e6)


class Lora(Strict):
    """Train low-rank updates of linear layers only (Hu et al. 2021); they are merged into the weights at the end."""

    rank: int = Field(8, ge=1, le=4096)
    alpha: float = Field(16.0, gt=0, le=1e6, description="the update is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: list[str] | None = Field(
        None, min_length=1, description="names of linear layers, such as q_proj; all but the output head where left out"
    )


class Launch(Strict):
    """Train in several processes, one a device, as torchrun starts them. A batch is divided among them."""

    processes: int = Field(ge=1, le=65_536, description="of all machines together; 1: none is started")
    sharding: Literal["fsdp2", "none"] = Field(
        "fsdp2",
        description="fsdp2: weights, gradients, optimiser state and teachers are divided among the processes; none: "
        "each holds them all, and gradients are averaged",
    )


class Budget(Strict):
    """What a training may spend and how. A value left out is the learner's own default; the record says which."""

    epochs: float | None = Field(None, gt=0, le=100_000, description="passes over the data")
    steps: int | None = Field(None, ge=1, le=100_000_000, description="optimiser steps; instead of epochs")
    max_seconds: float | None = Field(
        None, gt=0, description="stop after so many seconds of training; a control gets the same"
    )
    batch_size: int | None = Field(None, ge=1, le=65_536, description="examples that go through the model at once")
    accumulate: int | None = Field(None, ge=1, le=65_536, description="batches that make one optimiser step")
    learning_rate: float | None = Field(None, gt=0, le=100)
    schedule: Literal["cosine", "linear", "constant"] | None = None
    warmup: float | None = Field(None, ge=0, lt=1, description="share of the steps in which the rate rises")
    weight_decay: float | None = Field(None, ge=0, le=10)
    precision: Literal["auto", "float32", "bfloat16"] | None = Field(
        None, description="of the arithmetic; weights stay float32. auto: bfloat16 where the hardware computes in it"
    )
    look_every: int | None = Field(
        None, ge=1, description="steps between looks at the held-out data; the best look is what is kept"
    )
    patience: int | None = Field(None, ge=1, description="stop after so many looks without a better one")
    checkpoint_every: int | None = Field(None, ge=1, description="steps between checkpoints to resume from")
    lora: Lora | None = None


BUDGET_KEYS = frozenset(Budget.model_fields)
TeacherWeights = Annotated[list[Annotated[float, Field(gt=0, le=1e6)]], Field(min_length=1)]
