"""The server that black-box recipes are tried with says what its checkpoint says."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distbench.models.hf_causal import HFCausal
from distbench.models.openai_endpoint import OpenAIEndpoint, OpenAIOptions
from distbench.protocols import Asked, Sampling
from tests.conftest import CPU
from tests.scripts import script

PROMPT = "the doctor with the"
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


@pytest.fixture(scope="module")
def url(tiny_lm: Path) -> Iterator[str]:
    serve = script("distil/serve")
    writer = serve.Writer(tiny_lm, "tiny", "cpu")
    writer.tokenizer.chat_template = TEMPLATE
    server = serve.serve(writer, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def asked(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url + path, json.dumps({"model": "tiny", **body}).encode())
    with urllib.request.urlopen(request) as answer:
        return dict(json.load(answer))


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_answers_and_their_likeliest_tokens_are_the_checkpoints_own(url: str, tiny_lm: Path, api: Any) -> None:
    endpoint = OpenAIEndpoint.open(url, CPU, OpenAIOptions(model="tiny", api=api, retries=0))
    (said,) = endpoint.write([Asked(PROMPT)], Sampling(most=5, top_logprobs=3))
    model = HFCausal.open(tiny_lm, CPU)
    ids = model.tokenizer(PROMPT)["input_ids"]
    assert said.prompt_tokens == len(ids)
    expected, steps = list(ids), []
    with torch.no_grad():
        for _ in range(5):
            logp = model.module(torch.tensor([expected])).logits[0, -1].log_softmax(-1)
            steps.append(logp.topk(3).values.tolist())
            expected.append(int(logp.argmax()))
    written = model.tokenizer.decode(expected[len(ids) :])
    assert said.text == written.removesuffix("<|endoftext|>")
    assert said.guesses is not None
    for guess, top in zip(said.guesses, steps, strict=False):
        assert [value for _, value in guess.top] == pytest.approx(top, abs=1e-4)


def test_at_once_is_the_same_as_in_pieces(url: str) -> None:
    body = {"prompt": PROMPT, "max_tokens": 4, "temperature": 0, "logprobs": 2}
    answer = asked(url, "/completions", body)
    (choice,) = answer["choices"]
    assert len(choice["logprobs"]["tokens"]) == len(choice["logprobs"]["top_logprobs"]) <= 4
    assert "".join(choice["logprobs"]["tokens"]) == choice["text"]
    endpoint = OpenAIEndpoint.open(url, CPU, OpenAIOptions(model="tiny", retries=0))
    (streamed,) = endpoint.write([Asked(PROMPT)], Sampling(most=4))
    assert (streamed.text, streamed.tokens) == (choice["text"], answer["usage"]["completion_tokens"])
    drawn = {"prompt": PROMPT, "max_tokens": 8, "temperature": 2.0, "seed": 1}
    assert asked(url, "/completions", drawn)["choices"] == asked(url, "/completions", drawn)["choices"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"prompt": "a", "n": 2}, "does not know 'n'"),
        ({"prompt": ["a"]}, "must be one text"),
        ({"prompt": "a", "model": "other"}, "the model 'other' does not exist"),
        ({"prompt": "a", "max_tokens": 0.5}, "max_tokens is a whole number"),
        ({"prompt": "a", "max_tokens": 5000}, "too many for this model"),
    ],
)
def test_what_it_cannot_do_it_says(url: str, body: dict[str, Any], words: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        asked(url, "/completions", body)
    assert caught.value.code == 400
    assert words in json.load(caught.value)["error"]["message"]
