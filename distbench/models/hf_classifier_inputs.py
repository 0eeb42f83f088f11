"""From texts or images to the tensors that a transformers classifier reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from distbench.data.feature_signal import Kind
from distbench.errors import EnvironmentFault, RefusedError, RunError

FORWARD_TOKENS = 16_384  # through the model at once; padding counts
FORWARD_PIXELS = 1 << 24
UNSTATED = 1_000_000  # transformers writes 1e30 for a length that its tokenizer does not know
COUNT_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "data2vec-text"})  # their positions
PREPARATION = "preprocessor_config.json"


class Inputs(Protocol):
    """How inputs of one kind become tensors."""

    kind: Kind

    def batches(self, x: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
        """Yield the rows that go through the model together, each row once."""
        ...

    def tensors(self, x: NDArray[Any], device: Any) -> dict[str, Any]:
        """Return what the model is called with."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `tensors` needs, beside the weights."""
        ...


@dataclass
class TextInputs:
    """Texts by the model's own tokenizer; a text longer than `limit` tokens is cut at the end, as is usual."""

    tokenizer: Any
    limit: int
    kind: Kind = "texts"

    def ids(self, x: NDArray[Any]) -> list[list[int]]:
        """Return token ids with the special tokens, at most `limit` a text. Raises RunError for other inputs."""
        if x.dtype != object:
            raise RunError("this model reads texts, and is asked about numbers")
        texts = [str(text) for text in x]
        found = self.tokenizer(texts, truncation=True, max_length=self.limit, return_attention_mask=False)
        return [list(each) for each in found["input_ids"]]

    def cut(self, x: NDArray[Any]) -> int:
        """Return how many texts are longer than `limit`."""
        found = self.tokenizer([str(text) for text in x], truncation=False, return_attention_mask=False)["input_ids"]
        return sum(len(each) > self.limit for each in found)

    def batches(self, x: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
        """Yield rows of similar length, at most `FORWARD_TOKENS` tokens together."""
        lengths = np.asarray([len(each) for each in self.ids(x)])
        rows: list[int] = []
        for row in np.argsort(lengths, kind="stable"):
            if rows and (len(rows) + 1) * int(lengths[row]) > FORWARD_TOKENS:
                yield np.asarray(rows)
                rows = []
            rows.append(int(row))
        if rows:
            yield np.asarray(rows)

    def tensors(self, x: NDArray[Any], device: Any) -> dict[str, Any]:
        """Return input_ids and attention_mask [n, longest]."""
        return self.padded(self.ids(x), device)

    def padded(self, ids: list[list[int]], device: Any) -> dict[str, Any]:
        """Return token ids as tensors, padded at the end."""
        import torch

        longest, padding = max(len(each) for each in ids), self.tokenizer.pad_token_id
        tokens = torch.tensor([[*each, *[padding] * (longest - len(each))] for each in ids])
        lengths = torch.tensor([len(each) for each in ids])
        mask = (torch.arange(longest) < lengths.unsqueeze(1)).long()
        return {"input_ids": tokens.to(device), "attention_mask": mask.to(device)}

    def save(self, folder: Path) -> None:
        """Write the tokenizer."""
        self.tokenizer.save_pretrained(folder)


@dataclass
class ImageInputs:
    """Images [n, height, width, channels] in 0–1: resized to what the model reads, then (x − mean) / std by channel."""

    channels: int
    size: tuple[int, int] | None  # height, width; None: as they are
    mean: list[float]
    std: list[float]
    kind: Kind = "images"

    @classmethod
    def read(cls, folder: Path, config: Any) -> ImageInputs:
        """Read the preparation that a checkpoint states. Raises RefusedError for a step that is not done here."""
        path = folder / PREPARATION
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            raise EnvironmentFault(f"{path} is missing: how images are prepared is unknown") from None
        except ValueError:
            raise RefusedError(f"{path} is damaged: not JSON") from None
        if given.get("do_center_crop"):
            raise RefusedError(f"{path} asks to crop images (do_center_crop), which is not supported")
        channels = int(getattr(config, "num_channels", 3))
        normal = bool(given.get("do_normalize", True))
        mean = given.get("image_mean", 0.5) if normal else 0.0
        std = given.get("image_std", 0.5) if normal else 1.0
        size = _size(given.get("size"), path) if given.get("do_resize", True) else None
        return cls(channels, size, _by_channel(mean, channels), _by_channel(std, channels))

    def save(self, folder: Path) -> None:
        """Write the preparation as transformers reads it."""
        height, width = self.size or (0, 0)
        given = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": self.size is not None,
            **({"size": {"height": height, "width": width}} if self.size else {}),
            "resample": 2,  # bilinear
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": self.mean,
            "image_std": self.std,
        }
        (folder / PREPARATION).write_text(json.dumps(given, indent=2), encoding="utf-8")

    def batches(self, x: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
        """Yield rows in order, at most `FORWARD_PIXELS` values together."""
        height, width = self.size or x.shape[1:3]
        step = max(1, FORWARD_PIXELS // max(1, height * width * self.channels))
        for start in range(0, len(x), step):
            yield np.arange(start, min(start + step, len(x)))

    def tensors(self, x: NDArray[Any], device: Any) -> dict[str, Any]:
        """Return pixel_values [n, channels, height, width]."""
        import torch

        if x.dtype == object or x.ndim != 4:
            raise RunError("this model reads images [n, height, width, channels], and is asked about something else")
        pixels = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).permute(0, 3, 1, 2).to(device)
        if pixels.shape[1] == 1 and self.channels > 1:
            pixels = pixels.expand(-1, self.channels, -1, -1)
        if pixels.shape[1] != self.channels:
            raise RunError(f"this model reads images of {self.channels} channels, not of {pixels.shape[1]}")
        if self.size is not None and tuple(pixels.shape[2:]) != self.size:
            pixels = torch.nn.functional.interpolate(pixels, self.size, mode="bilinear", antialias=True)
        mean, std = (torch.tensor(each, device=device).view(1, -1, 1, 1) for each in (self.mean, self.std))
        return {"pixel_values": (pixels - mean) / std}


def _size(given: Any, path: Path) -> tuple[int, int]:
    if isinstance(given, int):
        return (given, given)
    if isinstance(given, dict) and {"height", "width"} <= given.keys():
        return (int(given["height"]), int(given["width"]))
    raise RefusedError(f"{path}: a size of {given} needs a crop, which is not supported; give height and width")


def _by_channel(value: Any, channels: int) -> list[float]:
    values = [float(each) for each in value] if isinstance(value, list) else [float(value)] * channels
    if len(values) != channels:
        raise RefusedError(f"{PREPARATION}: {len(values)} means or deviations for {channels} channels")
    return values


def length_limit(tokenizer: Any, config: Any, asked: int | None) -> int:
    """Return how many tokens of a text are read: what is asked, at most what tokenizer and positions allow."""
    stated = int(tokenizer.model_max_length) if tokenizer.model_max_length < UNSTATED else None
    positions = getattr(config, "max_position_embeddings", None)
    if positions and config.model_type in COUNT_FROM_PADDING:
        positions -= int(tokenizer.pad_token_id) + 1
    known = [each for each in (asked, stated, positions) if each]
    if not known:
        raise RefusedError("neither tokenizer nor configuration says how long a text may be; give max_length")
    return int(min(known))
