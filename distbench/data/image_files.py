"""Images in files: found in folders, decoded to the same shape, refused by name where they are damaged."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from distbench.errors import EnvironmentFault, RefusedError, RunError
from distbench.hashing import file_digest

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
DEEP_MODES = ("I", "F")  # Pillow's modes of 16 or 32 bits a pixel begin like this; converting them would clip


@dataclass(frozen=True)
class Decoding:
    """What every image is brought to: size (height, width), or None where all have the same; 3 channels or 1.

    crop: the middle is cut out, so that proportions stay; else the image is squeezed.
    """

    size: tuple[int, int] | None
    crop: bool
    grey: bool


def class_folders(folder: Path) -> dict[str, Path]:
    """Return the folders of the classes by name, sorted. Hidden ones are none.

    Raises EnvironmentFault where the folder cannot be read, RunError where images lie beside the classes.
    """
    try:
        entries = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError as error:
        raise EnvironmentFault(f"{folder} cannot be read: {error.strerror}") from error
    for each in entries:
        if not each.is_dir() and each.suffix.lower() in SUFFIXES:
            raise RunError(f"{each} lies beside the folders of the classes; nobody can tell of which class it is")
    return {each.name: each for each in entries if each.is_dir()}


def images_in(folder: Path) -> list[Path]:
    """Return the images of a folder and of the folders in it, sorted, by the endings in `SUFFIXES`.

    Hidden files and folders are left out, and so are links to folders. Raises EnvironmentFault where a folder cannot be
    read.
    """
    return sorted(_walked(folder))


def _walked(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise EnvironmentFault(f"{error.filename} cannot be read: {error.strerror}") from error

    for at, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(at, name)


def digest_of(path: Path) -> str:
    """Return the hash of a file's bytes; a file that did not change is not read twice."""
    try:
        facts = path.stat()
        return _digest_unchanged(path, facts.st_mtime_ns, facts.st_size)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error


@functools.lru_cache(maxsize=1 << 20)
def _digest_unchanged(path: Path, changed: int, size: int) -> str:
    return file_digest(path)


def decoded(paths: list[Path], how: Decoding) -> NDArray[np.float32]:
    """Return images [n, height, width, channels] in 0–1.

    Raises EnvironmentFault for a file that cannot be read and for more images than fit into memory, RunError for one
    that is no image or, where no size is given, has another size than the first, RefusedError for one so large that it
    may be made to fill the memory.
    """
    first = _one(paths[0], how)
    needed, free = len(paths) * first.nbytes, psutil.virtual_memory().available
    if needed > free:
        raise EnvironmentFault(
            f"{len(paths)} images of {first.shape[0]} × {first.shape[1]} pixels take {needed / 2**30:.1f} GiB, "
            f"{free / 2**30:.1f} GiB of memory are free; give a smaller size, or fewer samples"
        )
    found = np.empty((len(paths), *first.shape), dtype=np.float32)
    for place, path in enumerate(paths):
        image = first if place == 0 else _one(path, how)
        if image.shape != first.shape:
            sizes = [f"{each.shape[0]} × {each.shape[1]}" for each in (image, first)]
            raise RunError(
                f"{path} has {sizes[0]} pixels (height × width) and {paths[0]} has {sizes[1]}; give the size that all "
                "images are brought to: size"
            )
        found[place] = image
    return found


def _one(path: Path, how: Decoding) -> NDArray[np.float32]:
    """Return one image [height, width, channels] in 0–1."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return _as_array(opened, how, path)
    except (RunError, RefusedError):
        raise
    except Image.DecompressionBombError as error:
        raise RefusedError(f"{path}: {error}") from error
    except Exception as error:  # a decoder may raise anything at all for a damaged file
        if isinstance(error, OSError) and error.errno is not None:
            raise EnvironmentFault(f"{path} cannot be read: {os.strerror(error.errno)}") from error
        reason = " ".join(str(error).split()).replace(repr(str(path)), "the file")[:160] or type(error).__name__
        raise RunError(f"{path} is no readable image: {reason}") from error


def _as_array(opened: Any, how: Decoding, path: Path) -> NDArray[np.float32]:
    """Return what was opened as numbers: upright as its camera was held, white where it is transparent."""
    from PIL import Image, ImageOps

    if opened.mode.startswith(DEEP_MODES):
        raise RunError(f"{path} has 16 or 32 bits a pixel (mode {opened.mode}); save it with 8 bits a channel")
    image = ImageOps.exif_transpose(opened)
    if "A" in image.mode or "transparency" in image.info:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    image = image.convert("L" if how.grey else "RGB")
    if how.size is not None:
        height, width = how.size
        shaped = ImageOps.fit if how.crop else Image.Image.resize
        image = shaped(image, (width, height), Image.Resampling.BILINEAR)
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    return values[:, :, None] if how.grey else values
