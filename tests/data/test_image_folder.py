"""Folders of images: what is read, how it is split, and what is refused by name."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from distbench import plugins
from distbench.data.image_folder import ImageFolder
from distbench.data.located import located
from distbench.errors import DistbenchError, EnvironmentFault, RefusedError, RunError, UsageError
from distbench.models.mlp import MLPClassifier, MLPOptions
from distbench.protocols import LearnSession, SignalRequest
from distbench.schema.cell import Settings
from distbench.schema.strict import Use
from distbench.schema.suite import TaskSpec
from distbench.tasks.classification import ClassificationTask
from tests.conftest import CPU
from tests.models.classified import recipe

NOBODY = SignalRequest(teachers=[])


def draw(path: Path, colour: tuple[int, ...] | int, size: tuple[int, int] = (4, 4), mode: str = "RGB") -> Path:
    """Write an image of one colour; size is (width, height), as Pillow counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(30):
        draw(tmp_path / "train" / "blue" / f"{i}.png", (0, i, 255))
        draw(tmp_path / "train" / "red" / "deeper" / f"{i}.png", (255, i, 0))
    for i in range(4):
        draw(tmp_path / "test" / ("red" if i % 2 else "blue") / f"{i}.png", (255, 0, i) if i % 2 else (i, 0, 255))
    return tmp_path


def source(folder: Path, **options: Any) -> ImageFolder:
    folders = options.pop("folders", {"train": "train", "test": "test"})
    use = located(Use(use="image-folder", **{"folders": folders, **options}), folder)
    return ImageFolder(plugins.options("data", use))  # type: ignore[arg-type]


def test_classes_are_folders_and_values_are_shares(folder: Path) -> None:
    rows = source(folder).test_rows()
    assert rows.classes == ("blue", "red")
    assert rows.y.tolist() == [0, 0, 1, 1]
    assert rows.x.shape == (4, 4, 4, 3)
    assert rows.x.dtype == np.float32
    first = dict(zip(rows.names or (), rows.x[:, 0, 0].tolist(), strict=True))
    assert first["red/1.png"] == [1.0, 0.0, np.float32(1 / 255)]
    assert rows.take(np.asarray([2])).names == (rows.names or ())[2:3]


def test_every_image_is_in_one_part_and_what_comes_twice_too(folder: Path) -> None:
    for i in range(30):
        shutil.copy(folder / "train" / "blue" / f"{i}.png", folder / "train" / "blue" / f"again{i}.PNG")
    signal = source(folder, heldout=0.2).signal(NOBODY)
    seen, held = ({row.tobytes() for row in x} for x in (signal.x, signal.heldout_x))
    assert not seen & held
    assert len(seen | held) == 60
    assert signal.examples + len(signal.heldout_x) == 90
    assert 3 <= len(held) <= 25
    assert signal.kind == "images"
    assert signal.names == ("blue", "red")


def test_content_counts_and_names_do_not(folder: Path) -> None:
    before = source(folder).identity()
    rows = source(folder).test_rows().x
    (folder / "train" / "blue" / "0.png").rename(folder / "train" / "blue" / "z.png")
    (folder / "test" / "blue" / "0.png").rename(folder / "test" / "blue" / "zz.png")
    assert source(folder).identity() == before
    np.testing.assert_array_equal(source(folder).test_rows().x, rows)
    draw(folder / "train" / "blue" / "z.png", (1, 2, 3))
    assert source(folder).identity() != before


def test_fewer_samples_fewer_labels_and_more_without(folder: Path) -> None:
    for i in range(5):
        draw(folder / "more" / f"{i}.png", (9, 9, i))
    folders = {"train": "train", "unlabelled": "more"}
    signal = source(folder, folders=folders, samples=20, labelled=6).signal(NOBODY)
    assert signal.examples == 25
    assert len(signal.labelled) == 6
    assert signal.y[-5:].tolist() == [-1] * 5
    other = source(folder, samples=20).signal(SignalRequest(teachers=[], seed=1))
    assert not np.array_equal(signal.x[:20], other.x)


def test_the_order_of_the_head_can_be_given_and_a_folder_can_be_held_out(folder: Path) -> None:
    folders = {"train": "train", "heldout": "test"}
    signal = source(folder, folders=folders, classes=["red", "blue"]).signal(NOBODY)
    assert (signal.examples, len(signal.heldout_x)) == (59, 4)  # blue/0.png is the same image on both sides
    assert signal.heldout_y is not None
    assert signal.heldout_y.tolist() == [0, 0, 1, 1]
    assert signal.heldout_x[0, 0, 0].tolist()[0] == 1.0  # red


def test_images_are_squeezed_or_cut_to_a_size(tmp_path: Path) -> None:
    wide = Image.new("RGB", (8, 4), "black")
    wide.paste("white", (6, 0, 8, 4))  # the right quarter
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        wide.save(tmp_path / "train" / name / "x.png")
        draw(tmp_path / "train" / name / "y.png", 0)
    folders = {"train": "train", "test": "train"}

    def brightest(**options: Any) -> float:
        return float(source(tmp_path, folders=folders, **options).test_rows().x.max())

    assert brightest(size=4) > 0.5
    assert brightest(size=4, crop=True) == 0.0  # the middle half is black
    assert source(tmp_path, folders=folders, size=[2, 6]).test_rows().x.shape == (4, 2, 6, 3)
    with pytest.raises(RunError, match=r"has 4 × 4 pixels \(height × width\) and .*x.png has 4 × 8; give the size"):
        source(tmp_path, folders=folders).test_rows()


def test_what_is_transparent_is_white_and_a_turned_photograph_stands_upright(tmp_path: Path) -> None:
    draw(tmp_path / "train" / "a" / "clear.png", (0, 0, 0, 0), mode="RGBA")
    turned = Image.new("RGB", (2, 2), "black")
    turned.putpixel((0, 0), (255, 255, 255))
    facts = Image.Exif()
    facts[0x0112] = 6  # orientation: turn by 90° clockwise to see it upright
    (tmp_path / "train" / "b").mkdir()
    turned.save(tmp_path / "train" / "b" / "turned.tiff", exif=facts)
    rows = source(tmp_path, folders={"train": "train", "test": "train"}, size=2, grey=True).test_rows()
    assert rows.x.shape == (2, 2, 2, 1)
    assert rows.x[0].min() == 1.0
    assert rows.x[1, :, :, 0].tolist() == [[0.0, 1.0], [0.0, 0.0]]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def deep(path: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(path)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "gone.png")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (cut, RunError, "0.png is no readable image: "),
        (lambda path: path.write_bytes(b""), RunError, "0.png is no readable image: cannot identify image file"),
        (lambda path: path.write_text("<svg>"), RunError, "0.png is no readable image: cannot identify image file"),
        (deep, RunError, "0.png has 16 or 32 bits a pixel (mode I;16); save it with 8 bits a channel"),
        (dangling, EnvironmentFault, "0.png cannot be read: No such file or directory"),
        (lambda path: (path.unlink(), path.mkdir()), RunError, None),  # a folder is looked into: an image less
        (lambda path: draw(path.parents[1] / "stray.png", 0), RunError, "stray.png lies beside the folders of the cl"),
        (lambda path: (path.parents[1] / "green").mkdir(), RunError, "class 'green' has no image"),
        (lambda path: shutil.rmtree(path.parents[1] / "red"), RunError, "train has one folder, 'blue'; a classifier n"),
        (lambda path: shutil.rmtree(path.parents[1]), EnvironmentFault, "train cannot be read: No such file"),
    ],
)
def test_what_is_wrong_is_named(
    folder: Path, spoil: Callable[[Path], Any], error: type[DistbenchError], words: str | None
) -> None:
    spoil(folder / "train" / "blue" / "0.png")
    if words is None:
        assert source(folder).signal(NOBODY).examples < 60
        return
    with pytest.raises(error) as caught:
        source(folder).signal(NOBODY)
    assert words in str(caught.value)


def test_the_test_part_must_fit_the_training_part(folder: Path) -> None:
    draw(folder / "test" / "bluee" / "0.png", 0)
    with pytest.raises(RunError, match="the folder 'bluee' is none of the 2 classes; did you mean 'blue'"):
        source(folder).test_rows()
    shutil.rmtree(folder / "test")
    (folder / "test").mkdir()
    with pytest.raises(RunError, match=r"0 examples in .*test"):
        source(folder).test_rows()
    with pytest.raises(UsageError, match="folders has no 'test'"):
        source(folder, folders={"train": "train"}).test_rows()
    with pytest.raises(UsageError, match="a class is named twice"):
        source(folder, classes=["red", "red"])
    with pytest.raises(RunError, match="class 'green' has no image, and no folder"):
        source(folder, classes=["red", "green", "blue"]).signal(NOBODY)


def test_a_bomb_is_refused_and_too_many_images_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 4)  # what is twice as large is refused; here, 16
        with pytest.raises(RefusedError, match=r"png: Image size \(16 pixels\) exceeds limit"):
            source(folder).test_rows()
    free = SimpleNamespace(available=100)
    monkeypatch.setattr("distbench.data.image_files.psutil.virtual_memory", lambda: free)
    with pytest.raises(EnvironmentFault, match=r"4 images of 4 × 4 pixels take .* GiB, .* give a smaller size"):
        source(folder).test_rows()


def test_pillow_is_asked_for_by_its_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = source(folder)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(EnvironmentFault, match=r"data source 'image-folder' needs 'PIL', .*distbench\[images\]"):
        made.identity()


def test_hostile_names_are_shown_and_do_no_harm(tmp_path: Path) -> None:
    for name in ("</script>", "=HYPERLINK(1)|\n\u202e"):
        for i in range(6):
            draw(tmp_path / "train" / name.replace("/", "∕") / f"<b>{i}.png", i)
    rows = source(tmp_path, folders={"train": "train", "test": "train"}).test_rows()
    assert rows.classes == ("<∕script>", "=HYPERLINK(1)|\n\u202e")
    assert "<∕script>/<b>0.png" in (rows.names or ())


def test_a_student_learns_from_them_and_is_asked_about_them(folder: Path) -> None:
    """Blue against red: a line tells them apart. What is shown of a sample is its file."""
    model = MLPClassifier(MLPOptions(hidden=[]), CPU)
    model.learn(source(folder).signal(NOBODY), recipe("hard", steps=30, learning_rate=0.1), LearnSession())
    spec = TaskSpec.model_validate(
        {"use": "classification", "data": {"use": "image-folder", "folders": {"train": "train", "test": "test"}}}
    )
    spec = ClassificationTask.resolve(spec, folder)
    assert ClassificationTask.reads(spec) == "images"
    outcome = ClassificationTask(spec).run(model, Settings(**CPU.model_dump()), lambda *_: None)
    assert [sample.score for sample in outcome.samples] == [1.0] * 4
    assert {sample.prompt for sample in outcome.samples} == {f"{'red' if i % 2 else 'blue'}/{i}.png" for i in range(4)}
