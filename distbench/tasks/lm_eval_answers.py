"""Ask a model a loaded lm-eval task: requests built once, answered by any number of models, processed by stock code.

This is what `lm_eval.evaluator.evaluate` does between loading and aggregating, document by document, with two
differences: a document whose processing raises is an error of that document, and requests outlive the model.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from distbench.errors import RunError
from distbench.tasks.lm_eval_encoded import Encoded
from distbench.tasks.lm_eval_load import sandboxed
from distbench.tasks.lm_eval_served import Unanswered


@dataclass
class Prepared:
    """A task with its requests for some documents, and their tokens by tokenizer.

    `indices[i]` is the document in the data set of the i-th one asked; `requests` holds its requests in order.
    """

    task: Any
    indices: list[int]
    docs: list[Any]
    requests: list[list[Any]]
    tokenised: dict[str, Encoded] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return about how many bytes the requests and their tokens take."""
        # by object: the choices of a document hold one and the same context
        texts = {id(text): len(text) for request in self.task.instances for text in request.args if str is type(text)}
        tokens = sum(len(part) for kept in self.tokenised.values() for _, *parts in kept for part in parts)
        return sum(texts.values()) + 4 * tokens


def prepare(task: Any, indices: list[int], num_fewshot: int | None, seed: int, **chat: Any) -> Prepared:
    """Build the requests of the chosen documents.

    `chat`: the arguments `apply_chat_template`, `chat_template`, `system_instruction` and `fewshot_as_multiturn` of
    lm-eval's `build_all_requests`.
    """
    # 0 in a task's own file means "never with examples"; lm-eval honours that, and so do we
    if task.get_config("num_fewshot") is None or (num_fewshot is not None and task.get_config("num_fewshot") != 0):
        task.set_config(key="num_fewshot", value=num_fewshot or 0)
    task.set_fewshot_seed(seed=seed)
    with sandboxed(task.config.task):
        # a set: lm-eval asks of every document whether it is among them
        task.build_all_requests(samples=set(indices), rank=0, world_size=1, **chat)
    by_doc: dict[int, list[Any]] = defaultdict(list)
    for instance in task.instances:
        by_doc[instance.doc_id].append(instance)
    requests = [sorted(by_doc[i], key=lambda request: request.idx) for i in sorted(by_doc)]
    if len(requests) != len(indices):
        raise RunError(f"{len(indices)} documents gave requests for {len(requests)}")
    return Prepared(task, indices, [requests_of[0].doc for requests_of in requests], requests)


def answer(prepared: Prepared, lm: Any) -> list[dict[str, Any]]:
    """Return one row a document and filter, as lm-eval logs them; `error` says why a document has no scores."""
    task = prepared.task
    by_kind: dict[str, list[Any]] = defaultdict(list)
    for instance in task.instances:
        instance.resps, instance.filtered_resps = [], {}
        by_kind[instance.request_type].append(instance)
    for kind, instances in by_kind.items():
        repeated = [instance for instance in instances for _ in range(instance.repeats)]
        for instance, response in zip(repeated, getattr(lm, kind)(repeated), strict=True):
            instance.resps.append(response)
    task.apply_filters()
    return [
        _row(task, index, doc, requests, name)
        for name in task.instances[0].filtered_resps
        for index, doc, requests in zip(prepared.indices, prepared.docs, prepared.requests, strict=True)
    ]


def _row(task: Any, index: int, doc: Any, requests: list[Any], name: str) -> dict[str, Any]:
    from lm_eval.utils import handle_non_serializable, hash_string

    filtered = [request.filtered_resps[name] for request in requests]
    with sandboxed(task.config.task):
        target = task.doc_to_target(doc)
    text = json.dumps(requests[0].doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
    row = {
        "doc_id": index,
        "doc": doc,
        "target": target,
        "arguments": [request.args for request in requests],
        "resps": [request.resps for request in requests],
        "filtered_resps": filtered,
        "filter": name,
        "doc_hash": hash_string(text),
        "prompt_hash": hash_string(requests[0].arguments[0]),
        "target_hash": hash_string(str(target)),
    }
    lost = next((each for request in requests for each in request.resps if isinstance(each, Unanswered)), None)
    if lost is not None:
        return row | {"metrics": [], "error": lost.why[:300]}
    if task.OUTPUT_TYPE == "multiple_choice" and task.multiple_input:
        row["gold"] = task.doc_to_text(doc)  # one continuation after several contexts: this is the right one's index
    try:
        metrics = dict(task.process_results(doc, filtered))
    except Exception as error:  # noqa: BLE001 - the task's own code; one bad document must not lose the others
        return row | {"metrics": [], "error": f"{type(error).__name__}: {error}"[:300]}
    return row | metrics | {"metrics": list(metrics)}
