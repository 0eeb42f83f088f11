"""HTTP answers, however their bytes were cut; and each part keeps the moment it came."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distbench.models.openai_response import Block, response_of

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PARTS = [b"data: one\n\n", b"x", b"\r\n0\r\n\r\n", b"y" * 300]  # what a chunk holds may look like its end
WIRE = CHUNKED + b"".join(b"%X;note=1\r\n%s\r\n" % (len(part), part) for part in PARTS) + b"0\r\n\r\n"


def cut(data: bytes, places: list[int]) -> list[Block]:
    edges = sorted({0, len(data), *(place % len(data) for place in places)})
    return [(moment, data[start:end]) for moment, (start, end) in enumerate(itertools.pairwise(edges))]


@given(st.lists(st.integers(0, 10_000), max_size=40))
def test_chunks_are_joined_however_they_were_cut(places: list[int]) -> None:
    response = response_of(cut(WIRE, places))
    assert response is not None
    assert b"".join(block for _, block in response.body) == b"".join(PARTS)
    assert (response.status, response.whole, response.kept) == (200, True, True)
    assert response.headers.get_content_type() == "text/event-stream"
    moments = [moment for moment, _ in response.body]
    assert moments == sorted(moments)


@given(st.integers(0, len(WIRE) - 3))
def test_an_answer_that_was_cut_off_is_not_whole(length: int) -> None:
    response = response_of([(0, WIRE[:length])])
    assert response is None or not response.whole
    if response is not None:
        assert b"".join(PARTS).startswith(b"".join(block for _, block in response.body))


def test_a_part_has_the_moment_at_which_it_came() -> None:
    blocks = [(5, CHUNKED + b"3\r\nab"), (7, b"c\r\n"), (9, b"2\r\nde\r\n0\r\n\r\n")]
    response = response_of(blocks)
    assert response is not None
    assert response.body == [(5, b"ab"), (7, b"c"), (9, b"de")]


@pytest.mark.parametrize(
    ("data", "body", "whole"),
    [
        (b"Content-Length: 3\r\n\r\nabc", b"abc", True),
        (b"Content-Length: 4\r\n\r\nabc", b"abc", False),
        (b"Connection: close\r\n\r\nabc", b"abc", True),
        (b"Transfer-Encoding: chunked\r\n\r\nno size\r\nabc", b"", False),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nno size\r\n", b"abc", False),
    ],
)
def test_other_lengths(data: bytes, body: bytes, whole: bool) -> None:
    response = response_of([(0, HEAD + data)])
    assert response is not None
    assert (b"".join(block for _, block in response.body), response.whole) == (body, whole)


def test_an_interim_answer_is_passed_over() -> None:
    response = response_of([(0, b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD), (1, b"Content-Length: 1\r\n\r\nz")])
    assert response is not None
    assert (response.status, response.body) == (200, [(1, b"z")])


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 200 OK\r\n", b"220 smtp\r\n\r\n", b"HTTP/1.1 ok\r\n\r\n", b"\r\n\r\n"]
)
def test_what_is_no_http_is_nothing(data: bytes) -> None:
    assert response_of([(0, data)] if data else []) is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error": {"message": "told so"}}', "told so"),
        (b'{"error": "plain"}', "plain"),
        (b'{"detail": [1]}', "[1]"),
        (b'{"message": "bare"}', "bare"),
        (b"<html>", "<html>"),
        (b"\xff", "�"),
        (b"[" * 100_000, "[" * (1 << 16)),
    ],
)
def test_what_an_error_says(body: bytes, text: str) -> None:
    response = response_of([(0, b"HTTP/1.1 500 x\r\nConnection: Close\r\n\r\n" + body)])
    assert response is not None
    assert response.text == text
    assert not response.kept
