"""Rows about models: what is missing, damaged, unsafe, or does not fit the teacher."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.row import PAYLOAD, RUN, Make, Place, Row
from tests.acceptance.suite_rows import SUITE
from tests.models.own_code import pickle_weights
from tests.tasks.harness import lines, task_file

Damage = Callable[[Path], object]
WEIGHTS = "model.safetensors"
CODE = "trust_remote_code"
SHARD = "model-0000{}-of-00002.safetensors"
# A checkpoint as it is, asked without any training: what is wrong with its weights is seen when they are loaded.
STUDENT = "    init: {use: layer-drop, keep: 2}\n"
AS_IT_IS = (
    SUITE[: SUITE.index("  - name: drop")]
    + "  - {name: own, of: big, source: ./own}\n"
    + SUITE[SUITE.index("tasks:") :]
)


def damaged(damage: Damage, suite: str = SUITE) -> Make:
    """Write the suite and its checkpoint, and damage the checkpoint."""

    def make(place: Place) -> None:
        place.write("suite.yaml", suite)
        shutil.copytree(place.tiny_lm, place.folder / "model")
        damage(place.folder / "model")

    return make


def own(damage: Damage, suite: str | None = None) -> Make:
    """Write a suite with an intact teacher and a student that exists already, and damage the student."""

    def make(place: Place) -> None:
        place.write("suite.yaml", suite or AS_IT_IS)
        shutil.copytree(place.tiny_lm, place.folder / "model")
        shutil.copytree(place.tiny_lm, place.folder / "own")
        damage(place.folder / "own")

    return make


def intact(suite: str) -> Make:
    """Write a suite beside the checkpoint it names."""
    return damaged(lambda _: None, suite)


def drop(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def edited(name: str, **changes: object) -> Damage:
    """Change keys of a JSON file."""

    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(content | changes), encoding="utf-8")

    return damage


def sharded(second: str = SHARD.format(2)) -> Damage:
    """Say that the weights are two shards, of which the first is there."""

    def damage(folder: Path) -> None:
        (folder / WEIGHTS).rename(folder / SHARD.format(1))
        index = {"weight_map": {"a": SHARD.format(1), "b": second}}
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index), encoding="utf-8")

    return damage


def truncated(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def tensors(change: str) -> Damage:
    """Rewrite the weights: one tensor is missing, is NaN or has another shape."""

    def damage(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        name, found = "model.layers.1.mlp.up_proj.weight", load_file(folder / WEIGHTS)
        if change == "missing":
            del found[name]
        elif change == "nan":
            found[name][0, 0] = math.nan
        else:
            found[name] = found[name][:-1].copy()
        save_file(found, folder / WEIGHTS, metadata={"format": "pt"})

    return damage


def exchanged(place: Place) -> None:
    """Write a student whose tokenizer gives two tokens each other's id."""
    from tests.data.texts import exchange

    suite = SUITE.replace(STUDENT, "    source: ./own\n")
    place.write("suite.yaml", suite)
    for name in ("model", "own"):
        shutil.copytree(place.tiny_lm, place.folder / name)
    exchange(place.folder / "own", 40, 41)


def narrow(place: Place) -> None:
    """Write a student of half the width that is to think as its teacher thinks, without a projector."""
    suite = SUITE.replace("{use: layer-drop, keep: 2}", "{use: width-prune, hidden_size: 16}")
    loss = "use: combined, losses: [{use: hidden, projector: none}]"
    intact(suite.replace("use: soft-labels, temperature: 2.0", loss))(place)


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def pickled(folder: Path) -> None:
    """Replace the weights by a pickle that runs a command."""
    beside_pickled(folder)
    (folder / WEIGHTS).unlink()


def pickled_through_torch(folder: Path) -> None:
    """Replace the weights by a pickle whose command hides behind a name of torch."""
    import torch
    from torch.utils import collect_env

    class Hidden:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return collect_env.run, (f"touch {folder.parent / PAYLOAD}",)

    (folder / WEIGHTS).unlink()
    torch.save({"a": Hidden()}, folder / "pytorch_model.bin")


def allowing(key: str) -> str:
    """Return the suite with a teacher that may do what is refused otherwise."""
    return SUITE.replace("source: ./model", f"source: ./model, {key}: true")


def beside_pickled(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(folder.parent / PAYLOAD)))


def coded(folder: Path) -> None:
    """Name code of the checkpoint's own in its configuration."""
    edited("config.json", auto_map={"AutoModelForCausalLM": "evil.Model"})(folder)
    (folder / "evil.py").write_text(f"open({str(folder.parent / PAYLOAD)!r}, 'w')\n", encoding="utf-8")


def tasked(**fields: object) -> Make:
    """Write a suite whose task lies in a folder of its own, beside code that would leave a mark."""

    def make(place: Place) -> None:
        task = "{use: lm-eval, name: mine, include: foreign, data: {test: data.jsonl}}"
        own(lambda _: None, AS_IT_IS.replace("{use: lm-eval, name: distbench_facts, samples: 8}", task))(place)
        folder = place.folder / "foreign"
        folder.mkdir()
        place.write("foreign/payload.py", f"open({str(place.folder / PAYLOAD)!r}, 'w')\ndef target(doc): return 0\n")
        body = {"doc_to_text": "{{q}}", "doc_to_target": 0, "doc_to_choice": ["a", "b"], **fields}
        task_file(
            folder, "mine", output_type="multiple_choice", test_split="test", metric_list=[{"metric": "acc"}], **body
        )
        lines(place.folder / "data.jsonl", [{"q": f"question {n}"} for n in range(4)])

    return make


def chatty(folder: Path) -> None:
    """Give the checkpoint a chat template that reaches for Python."""
    (folder / "chat_template.jinja").write_text(ESCAPE, encoding="utf-8")


CHAT = "distbench_facts, samples: 4, chat_template: own"
ESCAPE = "{{ cycler.__init__.__globals__.os.system('touch RAN') }}"
TRUSTED = (*RUN, "--trust-task-code", "foreign")
HUMANEVAL = SUITE.replace("distbench_facts", "humaneval")


def unpinned(place: Place) -> None:
    """Write a suite in a folder that was pulled, and weights that are others than those that were."""
    from distbench.data.pull import LOCK
    from distbench.schema.pull import LockedFile, LockedModel, PullLock

    intact(SUITE)(place)
    file = LockedFile(path=f"model/{WEIGHTS}", sha256="0" * 64)
    model = LockedModel(source="org/model", repo="org/model", commit="c" * 40, folder="model", files=[file])
    place.write(LOCK, PullLock(distbench="0", models={"org/model": model}).model_dump_json())


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
HUB = SUITE.replace("./model", "someone/something")

MISSING = [
    Row(18, "model path missing", lambda p: p.write("suite.yaml", SUITE), 5, ("no model at", "/model"), process=True),
    Row(
        18,
        "hub id while offline",
        lambda p: p.write("suite.yaml", HUB),
        5,
        ("'someone/something'", "HF_HUB_OFFLINE", "give a local folder"),
    ),
    Row(19, "config.json missing", damaged(drop("config.json")), 5, "model/config.json is missing"),
    Row(19, "weights missing", damaged(drop(WEIGHTS)), 5, "model/model.safetensors is missing"),
    Row(19, "a shard missing", damaged(sharded()), 5, f"{SHARD.format(2)} is missing"),
    Row(20, "truncated", damaged(truncated), 6, (f"{WEIGHTS} is truncated", "bytes of tensors where its header says")),
    Row(20, "empty file", damaged(write(WEIGHTS, b"")), 6, f"{WEIGHTS} is truncated: 0 bytes"),
    Row(20, "LFS pointer", damaged(write(WEIGHTS, LFS)), 6, ("Git LFS pointer", "git lfs pull")),
    Row(
        20,
        "header of 2^60",
        damaged(write(WEIGHTS, struct.pack("<Q", 2**60) + b"{}")),
        6,
        "header of 1152921504606846976 bytes in a file of 10",
    ),
]
WRONG = [
    Row(
        21,
        "missing tensor",
        own(tensors("missing")),
        6,
        ("own", "'model.layers.1.mlp.up_proj.weight'", "missing"),
        refused=False,
        loads=True,
    ),
    Row(
        21,
        "shape mismatch",
        own(tensors("shape")),
        6,
        ("own", "'model.layers.1.mlp.up_proj.weight'", "63", "64"),
        refused=False,
        loads=True,
    ),
    Row(
        21,
        "NaN weights",
        own(tensors("nan")),
        6,
        ("own", "'model.layers.1.mlp.up_proj.weight'", "NaN"),
        refused=False,
        loads=True,
    ),
    Row(
        21,
        "sha256 differs",
        unpinned,
        6,
        ("model/model.safetensors is not the file that was pulled", "'000000000000'", "SHA-256 is "),
    ),
]
UNSAFE = [
    Row(
        22,
        "a shard outside the checkpoint",
        damaged(sharded("../../etc/passwd")),
        6,
        ("'../../etc/passwd'", "leaves the checkpoint folder"),
    ),
    Row(22, "a shard by an absolute path", damaged(sharded("/etc/passwd")), 6, "leaves the checkpoint folder"),
    Row(
        22,
        "a pickle that runs a command",
        damaged(pickled),
        6,
        ("pytorch_model.bin is a pickle and can run code", "allow_pickle: true", "--allow-pickle", "convert"),
    ),
    Row(
        22,
        "a pickle that runs a command, allowed",
        damaged(pickled, allowing("allow_pickle")),
        6,
        ("pytorch_model.bin would call posix.system", "weights never do"),
    ),
    Row(
        22,
        "a pickle that runs a command through torch, allowed",
        damaged(pickled_through_torch, allowing("allow_pickle")),
        6,
        "its pickle holds more than weights, and was not loaded",
        refused=False,
        loads=True,
    ),
    Row(
        22,
        "a pickle of weights, allowed",
        damaged(pickle_weights, allowing("allow_pickle")),
        0,
        "allowed: big: weights will be read from a pickle, as weights only, as allow_pickle allows (pytorch_model.bin)",
        argv=("plan", "suite.yaml"),
        refused=False,
        loads=True,
        environment={"COLUMNS": "400"},
    ),
    Row(
        22,
        "a pickle beside safe weights",
        damaged(beside_pickled),
        0,
        "distbench_facts",
        argv=("plan", "suite.yaml"),
        refused=False,
        environment={"COLUMNS": "200"},
    ),
    Row(
        22,
        "auto_map",
        damaged(coded),
        6,
        ("config.json names code to run (auto_map: evil.Model)", "trust_remote_code: true", "use: openai"),
    ),
    Row(
        22,
        "auto_map, allowed: nothing runs while it is planned",
        damaged(coded),
        0,
        "allowed: big, drop, drop-no-teacher: Python of the checkpoint will run, as trust_remote_code allows (evil.py",
        argv=("plan", "suite.yaml", "--trust-remote-code", "big"),
        refused=False,
        environment={"COLUMNS": "400"},
    ),
    Row(
        22,
        "auto_map of another repository, allowed",
        damaged(edited("config.json", auto_map={"AutoModel": "somebody/else--evil.Model"}), allowing(CODE)),
        6,
        "names code of another repository (somebody/else--evil.Model)",
    ),
    Row(
        22,
        "auto_map out of the folder, allowed",
        damaged(edited("config.json", auto_map={"AutoModel": "../evil.Model"}), allowing(CODE)),
        6,
        "auto_map names ../evil.Model, which is no file of the checkpoint",
    ),
    Row(
        22,
        "code of a hub model without a commit, allowed",
        intact(allowing(CODE).replace("./model", "somebody/model@main")),
        2,
        ("trust_remote_code needs a pinned commit", "somebody/model@COMMIT"),
    ),
    Row(
        22,
        "a task's !function",
        tasked(doc_to_target="!function payload.target"),
        6,
        ("can run any code (!function)", "--trust-task-code"),
    ),
    Row(
        22,
        "a template that reaches for Python",
        tasked(doc_to_text=ESCAPE),
        6,
        "reaches for what templates must not touch",
        argv=TRUSTED,
        refused=False,
        loads=True,
    ),
    Row(
        22,
        "a chat template that reaches for Python",
        own(chatty, AS_IT_IS.replace("distbench_facts, samples: 8", CHAT).replace("./model", "./own")),
        6,
        "reaches for what templates must not touch",
        refused=False,
        loads=True,
    ),
    Row(22, "HumanEval without a sandbox", intact(HUMANEVAL), 6, "executes code that the model writes"),
]
FITTING = [
    Row(
        23,
        "another tokenizer and soft labels",
        exchanged,
        2,
        ("the tokenizers differ", "first at id 40", "use: answers", "'uld'"),
    ),
    Row(24, "hidden sizes differ", narrow, 2, ("layer", "16 channels", "of the teacher 32")),
]
DEVICES = [
    Row(31, "cuda without a GPU", intact(SUITE), 5, ("'cuda'", "devices seen: cpu"), argv=(*RUN, "--device", "cuda")),
    Row(31, "cuda:7", intact(SUITE.replace("device: cpu", "device: cuda:7")), 5, ("'cuda:7'", "devices seen: cpu")),
]
ROWS = [*MISSING, *WRONG, *UNSAFE, *FITTING, *DEVICES]
