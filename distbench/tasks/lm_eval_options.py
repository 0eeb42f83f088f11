"""What a suite may say about an lm-eval task."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from distbench.schema.strict import Strict
from distbench.tasks.lm_eval_model import ScorerName


class Bias(Strict):
    """A metric that is a rate of biased answers: compared by transfer from the teacher, never by retention."""

    metric: str = Field(description="such as pct_stereotype")
    neutral: float = Field(0.5, ge=0, le=1, description="the rate of an unbiased model")


class LMEvalOptions(Strict):
    """Options of `use: lm-eval`."""

    num_fewshot: int | None = Field(
        None, ge=0, le=64, description="examples in the prompt; the task's own number where left out"
    )
    batch_size: int = Field(32, ge=1, le=4096, description="of lm-eval's own scorer and of generation")
    scorer: ScorerName = Field(
        "auto", description="auto: shared prefixes where the model passes the check; shared-prefix: or fail; hf: never"
    )
    metric: str | None = Field(
        None, description="the metric that is compared and gated; acc_norm, else acc, else the first"
    )
    cluster: str | None = Field(
        None, description="field of the document that names its cluster: items of one cluster are not independent"
    )
    groups: list[str] = Field([], max_length=8, description="fields of the document that are subgroup dimensions")
    length: str | None = Field(None, description="field of the document that is its context length in tokens")
    bias: Bias | None = None
    chat_template: Literal["off", "teacher", "own"] = Field(
        "off", description="off: plain prompts; teacher: the teacher's template for both; own: each model's own"
    )
    system_instruction: str | None = Field(None, max_length=20_000, description="needs a chat template")
    include: str | None = Field(None, description="a folder of task files of your own; see --trust-task-code")
    template: str | None = Field(None, description="the teacher's chat template; set by the planner")
