"""lm-eval's requests for a model that only a server holds: texts go out and come back, tokens are the server's.

A request that fails, also when it is repeated, is an error of its document; more than 1 % of them fail the task. What
has been answered is kept beside the run until the cell is finished, and is not asked for again after a kill.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from distbench.data.paid_asking import Effort, Inquiry, Wanted
from distbench.data.paid_budget import PaidBudget, Purse, Spent
from distbench.data.paid_store import AnswerStore
from distbench.errors import RunError, UsageError
from distbench.hashing import digest
from distbench.protocols import Asked, Prompt, Sampling, Written
from distbench.schema.suite import TaskSpec
from distbench.store.leftovers import temporary_folder
from distbench.tasks.lm_eval_encoded import UNSCORED, Progressed
from distbench.tasks.lm_eval_index import find_task, stock_fields
from distbench.tasks.lm_eval_needs import task_folder
from distbench.tasks.lm_eval_tokens import GREEDY, MOST_TOKENS

MESSAGES = "messages: the server's own template"  # stands for the template of a chat API in digests
WRITTEN = "generate_until"


class Unanswered(str):
    """Stands for an answer that could not be had. Its document is an error, whatever a task would make of no text."""

    why: str

    def __new__(cls, why: str) -> Unanswered:
        """Return an empty text that knows why it is empty."""
        made = super().__new__(cls, "")
        made.why = why
        return made


def check_served(spec: TaskSpec, api: str) -> None:
    """Raise UsageError for what no server can be asked in this way. Before anything runs: only the YAML is read."""
    template = spec.options.get("chat_template", "off")
    fields = stock_fields(find_task(spec.title, task_folder(spec, Path())))
    what = f"task {spec.title!r} of a served model"
    if template == "teacher" or (template == "own" and api != "chat"):
        raise UsageError(
            f"{what}: its tokenizer is not here, so no chat template can be applied to its prompts; chat_template: off "
            "sends them as they are, and chat_template: own goes with api: chat, where the server applies its own"
        )
    if api == "chat" and fields.get("output_type", WRITTEN) != WRITTEN:
        raise UsageError(
            f"{what} asks how likely given answers are ({fields['output_type']}), which the chat API cannot say; it "
            "needs api: completions and a server that repeats prompts with log-probabilities, such as vLLM"
        )


def messages(history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    """Return a conversation as lm-eval carries it around: a text. It becomes messages again when it is sent."""
    return json.dumps(history, ensure_ascii=False)


def served_model(model: Any, progress: Progressed, *, chat: bool) -> Any:
    """Return an lm-eval model that asks a server; `chat`: prompts are conversations written by `messages`."""
    lm = _class()()
    lm.model, lm.progress, lm.chat = model, progress, chat
    return lm


class _OnServer:
    """The three kinds of requests. Equal requests are asked once."""

    model: Any
    progress: Progressed
    chat: bool

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """Answer (context, continuation) pairs: (log-probability, is it greedy)."""
        pairs = [_spaces_moved(*request.args) for request in requests]
        asked = [Asked(context, given=given) for context, given in pairs if given]
        answers = iter(self._ask(asked, Sampling(most=1)))
        return [_judgement(next(answers)) if given else UNSCORED for _, given in pairs]

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> list[float]:
        """Return the log-probability of whole texts: in one piece, since windows are made of tokens."""
        answers = self._ask([Asked("", given=request.args[0]) for request in requests], Sampling(most=1))
        return [_judgement(answer)[0] for answer in answers]

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        """Return each prompt's greedy continuation, cut before the first stop text."""
        from lm_eval.models.utils import postprocess_generated_text

        wishes = [_wish(request.args[1]) for request in requests]
        found: list[str] = [""] * len(requests)
        for wish in dict.fromkeys(wishes):
            places = [i for i, each in enumerate(wishes) if each == wish]
            most, until = wish
            sampling = Sampling(most=most, stop=until, empty=True)
            answers = self._ask([Asked(self._prompt(requests[i].args[0])) for i in places], sampling)
            for i, answer in zip(places, answers, strict=True):
                if isinstance(answer, Unanswered):
                    found[i] = answer
                else:
                    found[i] = str(postprocess_generated_text(answer.text, list(until), None))
        return found

    def _prompt(self, text: str) -> Prompt:
        return json.loads(text) if self.chat else text

    def _ask(self, asked: Sequence[Asked], sampling: Sampling) -> list[Written | Unanswered]:
        keys = [digest([self.model.server.where, one.prompt, one.given, *vars(sampling).values()]) for one in asked]
        effort = Effort(self.model.options.concurrency, 1)
        with _store(self.model.kept) as store:
            purse = Purse(PaidBudget(), Spent())
            heard: Callable[[int, int, str], None] = lambda done, total, _: self.progress(done, total)  # noqa: E731
            inquiry = Inquiry(self.model, sampling, store, purse, effort, heard)
            inquiry.run([Wanted(key, one) for key, one in dict(zip(keys, asked, strict=True)).items()])
            return [store.get(key) or Unanswered(store.reasons.get(key, "it was not answered")) for key in keys]


def _judgement(answer: Written | Unanswered) -> tuple[float, bool]:
    if isinstance(answer, Unanswered) or answer.logprob is None:
        return UNSCORED
    return answer.logprob, bool(answer.greedy)


def _spaces_moved(context: str, continuation: str) -> tuple[str, str]:
    """Move spaces from the end of a context to the continuation, as lm-eval does: tokens begin with their space."""
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation


def _wish(given: dict[str, Any]) -> tuple[int, tuple[str, ...]]:
    """Return how many tokens are wanted and the stop texts. Raises RunError for a task that draws its answers."""
    from lm_eval.models.utils import normalize_gen_kwargs

    asked = dict(normalize_gen_kwargs(given, MOST_TOKENS))
    most, until = int(asked.pop("max_gen_toks")), asked.pop("until") or []
    if asked.get("do_sample") or set(asked) - GREEDY:
        raise RunError(f"a served model is asked for the likeliest answer only; the task asks for {asked}")
    return most, tuple([until] if isinstance(until, str) else until)


@contextlib.contextmanager
def _store(folder: Path | None) -> Iterator[AnswerStore]:
    """Open what is kept of answers; without a place to keep them, they last as long as the question."""
    with contextlib.ExitStack() as stack:
        place = folder or stack.enter_context(temporary_folder("answers"))
        yield stack.enter_context(AnswerStore(place / "answers.jsonl").held())


@functools.cache
def _class() -> type[Any]:
    """Return the class; lm-eval is imported when it is first needed."""
    from lm_eval.api.model import LM

    return type("OnServer", (_OnServer, LM), {})
