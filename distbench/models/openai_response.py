"""An HTTP/1.1 answer, taken apart after it arrived; each part of its body keeps the moment it came (RFC 9112)."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, parse_headers

from distbench.models.openai_stream import error_text

MOST_ERROR_BYTES = 1 << 16
Block = tuple[int, bytes]  # (ns on the clock, bytes)


@dataclass(frozen=True)
class Response:
    """A status, headers, and the body in the pieces in which it came. whole: nothing of it is missing."""

    status: int
    headers: Message
    body: list[Block]
    whole: bool

    @property
    def kept(self) -> bool:
        """Say whether the server leaves the connection open."""
        return str(self.headers.get("Connection", "")).lower() != "close"

    @property
    def text(self) -> str:
        """Return what a body that is no stream says: its error message, else its first bytes."""
        raw = b"".join(block for _, block in self.body)[:MOST_ERROR_BYTES].decode("utf-8", "replace")
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            return raw
        return error_text(answer) if isinstance(answer, dict) else raw


def response_of(blocks: Sequence[Block]) -> Response | None:
    """Return an answer; None where it is not HTTP, or not even its head is there."""
    head, rest = _split(blocks)
    line, _, fields = head.partition(b"\r\n")
    words = line.split(None, 2)
    if rest is None or len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        return None
    status = int(words[1])
    if status // 100 == 1:  # "100 Continue": the answer comes after it
        return response_of(rest)
    try:
        headers = parse_headers(io.BytesIO(fields + b"\r\n\r\n"))
    except HTTPException:
        return None
    if "chunked" in str(headers.get("Transfer-Encoding", "")).lower():
        body, whole = _dechunked(rest)
    else:
        size = str(headers.get("Content-Length", ""))
        body, whole = rest, not size.isdigit() or sum(len(block) for _, block in rest) >= int(size)
    return Response(status, headers, body, whole)


def _split(blocks: Sequence[Block]) -> tuple[bytes, list[Block] | None]:
    """Return the head, and the blocks after it; None where the head has no end."""
    head = b""
    for number, (at, block) in enumerate(blocks):
        head, end, rest = (head + block).partition(b"\r\n\r\n")
        if end:
            return head, [(at, rest), *blocks[number + 1 :]] if rest else list(blocks[number + 1 :])
    return head, None


def _dechunked(blocks: Sequence[Block]) -> tuple[list[Block], bool]:
    """Return the contents of chunks, and whether the last chunk came. What a block of bytes completes is its time's."""
    body: list[Block] = []
    rest, left = b"", 0  # bytes that are left of the present chunk, the line break behind it included
    for at, block in blocks:
        rest, found = rest + block, b""
        while rest:
            if left:
                part, rest = rest[:left], rest[left:]
                found += part[: max(0, left - 2)]
                left -= len(part)
                continue
            line, end, behind = rest.partition(b"\r\n")
            if not end:
                break
            size = _size(line)
            if not size:
                return ([*body, (at, found)] if found else body), size == 0
            left, rest = size + 2, behind
        if found:
            body.append((at, found))
    return body, False


def _size(line: bytes) -> int | None:
    """Return the size in the head of a chunk; None where there is none."""
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        return None
