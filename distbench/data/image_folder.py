"""Images with class labels from folders: a folder for each class, as many data sets come."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from distbench import plugins
from distbench.data.feature_signal import FeatureSignal
from distbench.data.image_files import Decoding, class_folders, decoded, digest_of, images_in
from distbench.data.labelled_rows import OnlineInside, Rows, few_labels, signal_of
from distbench.errors import RunError, UsageError, did_you_mean
from distbench.hashing import digest
from distbench.protocols import SignalRequest
from distbench.schema.strict import Strict

CODE_VERSION = 1
SPLIT_DOMAIN = b"distbench image-folder held-out\0"  # so that no other hash of the same bytes makes the same split
Side = Annotated[int, Field(ge=1, le=8192)]
Part = Literal["train", "test", "heldout"]


class ImageFolders(Strict):
    """Where the images lie, from the suite's folder on; each has a folder in it for every class."""

    train: str
    test: str | None = Field(None, description="what a classification task asks; no training reads it")
    heldout: str | None = Field(None, description="a part of `train` where left out")
    unlabelled: str | None = Field(None, description="more training images, in whatever folders")


class ImageFolderOptions(Strict):
    """Options of `data: {use: image-folder}`."""

    folders: ImageFolders
    size: Side | Annotated[list[Side], Field(min_length=2, max_length=2)] | None = Field(
        None, description="pixels that every image is brought to: a side, or [height, width]; left out: all are alike"
    )
    crop: bool = Field(False, description="keep the proportions and cut the middle out; else images are squeezed")
    grey: bool = Field(False, description="one channel instead of red, green and blue")
    classes: list[str] | None = Field(
        None, min_length=2, max_length=100_000, description="folders in the order of the head; all of `train`, sorted"
    )
    heldout: float = Field(0.1, gt=0, lt=1, description="share of `train` that is held out, chosen by content")
    labelled: int | None = Field(
        None, ge=1, description="how many training images keep their label; the rest only has the teacher's"
    )
    samples: int | None = Field(None, ge=1, description="how many images of `train` are used at all: a seeded draw")

    @model_validator(mode="after")
    def _differ(self) -> ImageFolderOptions:
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: a class is named twice")
        return self

    @property
    def decoding(self) -> Decoding:
        """How images become arrays."""
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Decoding(None if size is None else (size[0], size[1]), self.crop, self.grey)


@dataclass(frozen=True)
class Image:
    """A file, the hash of its bytes, the number of its class (-1: none), and its name as a person sees it."""

    path: Path
    content: str
    label: int
    name: str


class ImageFolder(OnlineInside):
    """Folders of images as training signal and as test rows."""

    Options = ImageFolderOptions
    yields: ClassVar[str] = "images"
    needs: ClassVar[frozenset[str]] = frozenset({"classify"})
    paths: ClassVar[frozenset[str]] = frozenset({"folders"})
    requires: ClassVar[tuple[str, ...]] = ("PIL",)

    def __init__(self, options: ImageFolderOptions) -> None:
        self.options = options

    def identity(self) -> dict[str, Any]:
        """Return what decides the rows: classes and contents, and the decoder. Names of files are no part of it."""
        plugins.check_installed("data", "image-folder")
        classes, parts = self._classes(), dict[str, Any]()
        for part in ("train", "test", "heldout"):
            if getattr(self.options.folders, part) is not None:
                parts[part] = [(each.label, each.content) for each in self._part(part, classes)]
        if self.options.folders.unlabelled is not None:
            parts["unlabelled"] = [each.content for each in self._unlabelled()]
        return {"code": CODE_VERSION, "classes": classes, "images": digest(parts), "pillow": plugins.version_of("PIL")}

    def test_rows(self) -> Rows:
        """Return the test images. Raises RunError for a class that the training images do not have."""
        if self.options.folders.test is None:
            raise UsageError("data 'image-folder': folders has no 'test', which a classification task asks")
        classes = self._classes()
        return self._rows(self._part("test", classes), classes)

    def signal(self, ask: SignalRequest) -> FeatureSignal:
        """Return the training images; with teachers, their mean class probabilities beside them."""
        classes = self._classes()
        train, heldout = (self._rows(part, classes) for part in self._parts(ask.seed, classes))
        given = self.options.model_dump(mode="json", exclude={"folders"})
        y = few_labels(train.y, self.options.labelled, ask.seed)
        return signal_of(train, heldout, y, ask, [self.identity(), given])

    # -- which images -----------------------------------------------------------------------------------------------

    def _parts(self, seed: int, classes: Sequence[str]) -> tuple[list[Image], list[Image]]:
        """Return (training, held-out) images. An image that comes twice is on one side only."""
        train = self._part("train", classes)
        if self.options.folders.heldout is not None:
            heldout = self._part("heldout", classes)
        else:
            heldout = [each for each in train if _share(each.content) < self.options.heldout]
        held = {each.content for each in heldout}
        train = [each for each in train if each.content not in held]
        if self.options.samples is not None and self.options.samples < len(train):
            drawn = np.random.default_rng([seed, len(train)]).permutation(len(train))[: self.options.samples]
            train = [train[place] for place in sorted(drawn)]
        if self.options.folders.unlabelled is not None:
            train += [each for each in self._unlabelled() if each.content not in held]
        for name, part in (("training", train), ("held-out", heldout)):
            if not part:
                raise RunError(f"data 'image-folder': 0 examples in the {name} part of {self.options.folders.train}")
        return train, heldout

    def _part(self, part: Part, classes: Sequence[str]) -> list[Image]:
        """Return the images of a part, by class and then by content. Raises RunError for a class without any."""
        root = Path(getattr(self.options.folders, part))
        folders = class_folders(root)
        for name in folders:
            if name not in classes:
                near = did_you_mean(name[:80], classes)
                raise RunError(f"{root}: the folder {name!r} is none of the {len(classes)} classes{near}")
        found = list[Image]()
        for label, name in enumerate(classes):
            images = images_in(folders[name]) if name in folders else []
            if not images and part == "train":
                raise RunError(f"{root}: class {name!r} has no image{'' if name in folders else ', and no folder'}")
            found += [_image(path, label, root) for path in images]
        if not found:
            raise RunError(f"data 'image-folder': 0 examples in {root}")
        return sorted(found, key=lambda each: (each.label, each.content, each.name))

    def _unlabelled(self) -> list[Image]:
        root = Path(self.options.folders.unlabelled or "")
        found = [_image(path, -1, root) for path in images_in(root)]
        if not found:
            raise RunError(f"data 'image-folder': 0 examples in {root}")
        return sorted(found, key=lambda each: (each.content, each.name))

    def _classes(self) -> tuple[str, ...]:
        """Return the classes in the order of the head: those named, or the folders of the training images."""
        if self.options.classes is not None:
            return tuple(self.options.classes)
        root = Path(self.options.folders.train)
        found = tuple(class_folders(root))
        if len(found) < 2:
            held = f"one folder, {found[0]!r}" if found else "no folder"
            raise RunError(f"{root} has {held}; a classifier needs two classes at least, a folder each")
        return found

    def _rows(self, images: list[Image], classes: tuple[str, ...]) -> Rows:
        return Rows(
            kind="images",
            x=decoded([each.path for each in images], self.options.decoding),
            y=np.asarray([each.label for each in images], dtype=np.int64),
            index=np.arange(len(images)),
            classes=classes,
            names=tuple(each.name for each in images),
        )


def _image(path: Path, label: int, root: Path) -> Image:
    return Image(path, digest_of(path), label, path.relative_to(root).as_posix())


def _share(content: str) -> float:
    """Return a number in [0, 1) that depends on the content alone, so that duplicates fall on one side."""
    return int.from_bytes(hashlib.sha256(SPLIT_DOMAIN + content.encode()).digest()[:8]) / 2**64
