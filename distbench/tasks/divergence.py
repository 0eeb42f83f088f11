"""How far the student's next-token distribution is from its teacher's, token by token on the same text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from distbench.data.text_lines import read_texts
from distbench.errors import RunError, UsageError
from distbench.hashing import digest, file_digest, text_digest
from distbench.protocols import Metric, Outcome, Progress, Sample
from distbench.schema.cell import Settings
from distbench.schema.places import at_home
from distbench.schema.strict import Strict
from distbench.schema.suite import TaskSpec
from distbench.tasks.drawing import draw
from distbench.tasks.lm_eval_encoded import tokenizer_digest

ROWS = 256  # token positions whose distributions are compared at once: 2 × 256 × vocabulary float32 values
CODE_VERSION = 1


class DivergenceOptions(Strict):
    """Options of `use: divergence`. The texts: `data: {texts: FILE}`, JSON Lines or plain text with a text a line."""

    field: str = Field("text", description="field of the JSON documents that holds the text")
    max_tokens: int = Field(512, ge=2, le=131_072, description="tokens of each text that are compared")


class DivergenceTask:
    """Kullback-Leibler and Jensen-Shannon divergence and top-1 agreement, teacher-forced on identical token ids.

    Student and teacher sit in one process and the whole vocabulary counts, so nothing is a bound. Per document: KL
    (teacher ‖ student) in nats a token, its median and 99th percentile over the document's tokens, JS in nats a token,
    and the share of positions where both put the same token first. An infinite KL is kept as that; NaN is an error.
    Models with different vocabularies have no such numbers.
    """

    Options = DivergenceOptions
    needs: ClassVar[frozenset[str]] = frozenset({"language"})
    compares: ClassVar[bool] = True  # asked of a student beside its teacher; the teacher alone has nothing to say

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self.options = DivergenceOptions.model_validate(spec.options)

    @classmethod
    def resolve(cls, spec: TaskSpec, directory: Path) -> TaskSpec:
        """Find the texts."""
        given = (spec.data or {}).get("texts")
        if not isinstance(given, str) or set(spec.data or {}) != {"texts"}:
            raise UsageError(f"task {spec.title!r}: 'divergence' needs data: {{texts: FILE}}")
        path = at_home(given)
        path = path if path.is_absolute() else directory / path
        if not path.is_file():
            raise UsageError(f"task {spec.title!r}: data file {path} does not exist")
        return spec.model_copy(update={"data": {"texts": str(path.resolve())}})

    @classmethod
    def identity(cls, spec: TaskSpec) -> dict[str, Any]:
        """Return the digest of the texts."""
        return {"code": CODE_VERSION, "texts": file_digest(Path((spec.data or {})["texts"]))}

    def run(self, model: Any, settings: Settings, progress: Progress) -> Outcome:
        """Refuse: a model by itself has no divergence."""
        raise RunError(f"task {self.spec.title!r} compares a student with its teacher; it cannot be asked of one model")

    def run_beside(self, model: Any, reference: Any, settings: Settings, progress: Progress) -> Outcome:
        """Compare `model` with its teacher `reference` on every chosen text."""
        _check_vocabularies(model, reference)
        texts = list(read_texts(Path((self.spec.data or {})["texts"]), self.options.field))
        chosen = draw(len(texts), self.spec.samples, settings.seed, self.spec.title).indices
        student, teacher = (getattr(each, "module", each) for each in (model, reference))  # torch where it is there
        samples: list[Sample] = []
        for done, index in enumerate(chosen):
            ids = model.tokenizer(texts[index])["input_ids"][: self.options.max_tokens]
            if len(ids) >= 2:  # one token predicts nothing
                samples += self._samples(index, texts[index], divergences(student, teacher, ids))
            progress(done + 1, len(chosen), self.spec.title)
        if not samples:
            raise RunError(f"task {self.spec.title!r}: no text of two tokens or more")
        return Outcome(
            samples=samples,
            metrics=[
                Metric("kl", primary=True, kind="ratio_of_sums", higher_is_better=False, best=0.0, reference=True),
                *(
                    Metric(name, primary=False, kind="mean", higher_is_better=False, best=0.0, reference=True)
                    for name in ("kl_median", "kl_p99")
                ),
                Metric("js", primary=False, kind="ratio_of_sums", higher_is_better=False, best=0.0, reference=True),
                Metric("token_agreement", primary=False, kind="ratio_of_sums", best=1.0, reference=True),
            ],
            version=str(CODE_VERSION),
            engine=f"distbench divergence {CODE_VERSION}",
            data_digest=digest(self.identity(self.spec)),
            prompt_digest=text_digest(texts[i] for i in chosen),
        )

    def items(self, count: int, seed: int) -> Any:
        """Return `count` texts, repeated where there are fewer."""
        texts = list(read_texts(Path((self.spec.data or {})["texts"]), self.options.field))
        return [texts[i % len(texts)] for i in range(count)]

    def _samples(self, index: int, text: str, found: dict[str, np.ndarray]) -> Iterator[Sample]:
        kl, n = found["kl"], len(found["kl"])
        broken = any(np.isnan(values).any() for values in found.values())
        sums = {"kl": kl.sum(), "js": found["js"].sum(), "token_agreement": found["same"].sum()}
        values: dict[str, tuple[float, float | None]] = {k: (float(v) / n, float(v)) for k, v in sums.items()}
        values |= {"kl_median": (float(np.median(kl)), None), "kl_p99": (float(np.quantile(kl, 0.99)), None)}
        for name, (score, total) in values.items():
            yield Sample(
                task=self.spec.title,
                sample_id=f"{index}-{text_digest([text])[:16]}",
                metric=name,
                score=None if broken else score,
                status="error" if broken else "ok",
                numerator=None if broken else total,
                denominator=None if total is None else float(n),
                prompt=text[:2000],
                answer_digest=text_digest([found["kl"].tobytes().hex()])[:16],
            )


def _logits(asked: Any, ids: list[int]) -> Any:
    """Return logits [n, vocabulary] of a torch module, or of a model with the verb `logits`."""
    import torch

    if not isinstance(asked, torch.nn.Module):
        return torch.from_numpy(asked.logits(ids))
    tokens = torch.as_tensor([ids], device=next(asked.parameters()).device)
    return asked(input_ids=tokens, use_cache=False).logits[0]


def divergences(student: Any, teacher: Any, ids: list[int]) -> dict[str, np.ndarray]:
    """Return per predicted position [n − 1]: "kl" KL(teacher ‖ student) and "js" in nats (float64), "same" top-1 (0/1).

    The last token predicts nothing that is in the text and is left out.
    """
    import torch

    found: dict[str, list[np.ndarray]] = {"kl": [], "js": [], "same": []}
    with torch.inference_mode():
        logits = [_logits(each, ids[:-1]) for each in (teacher, student)]
        logits = [part.to(logits[0].device) for part in logits]
        for low in range(0, len(ids) - 1, ROWS):
            p, q = (part[low : low + ROWS].float().log_softmax(-1) for part in logits)
            middle = (torch.logaddexp(p, q) - float(np.log(2.0))).where(p != q, p)  # equal is equal, not 1e-10
            found["kl"].append(_relative(p, q))
            found["js"].append((_relative(p, middle) + _relative(q, middle)) / 2)
            found["same"].append((p.argmax(-1) == q.argmax(-1)).double().cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _relative(p: Any, q: Any) -> np.ndarray:
    """Return KL(p ‖ q) of log-probabilities [rows, vocabulary], summed in float64."""
    terms = p.exp() * (p - q)
    terms = terms.where(p > float("-inf"), terms.new_zeros(()))  # 0 · log 0 = 0, not NaN
    total: np.ndarray = terms.double().sum(-1).cpu().numpy()
    return total


def _check_vocabularies(model: Any, reference: Any) -> None:
    if tokenizer_digest(model.tokenizer) == tokenizer_digest(reference.tokenizer):
        return
    mine, theirs = (each.tokenizer.get_vocab() for each in (model, reference))
    if mine != theirs:
        raise RunError(
            f"student and teacher have different vocabularies ({len(mine)} and {len(theirs)} tokens): a divergence of "
            "their distributions is not defined; compare bits per byte instead"
        )
