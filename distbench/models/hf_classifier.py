"""Classifiers of texts or images in Hugging Face format: a checkpoint folder with a classification head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from distbench.data.checkpoint import check_safetensors, checkpoint_identity, trusted_in
from distbench.data.feature_signal import FeatureSignal
from distbench.data.sources import resolve_checkpoint
from distbench.data.trust import NOBODY, trust_of
from distbench.errors import RefusedError, RunError, UsageError
from distbench.losses.features import Shape
from distbench.models.hf_classifier_fresh import HFClassifierOptions, fresh, tokenizer_in
from distbench.models.hf_classifier_inputs import ImageInputs, TextInputs, length_limit
from distbench.models.hf_classifier_insides import inside_of, shape_of
from distbench.models.hf_encoder_layers import blocks_of, keep_blocks
from distbench.models.hf_opening import PERMITS, UNREADABLE, Opening, opening, unreadable
from distbench.models.hf_weights import refuse_incomplete, refuse_nan
from distbench.models.torch_device import prepare_torch, torch_dtype
from distbench.models.torch_weights import weight_bytes
from distbench.protocols import LearnReport, LearnSession, Resolved, TrainingRecipe
from distbench.schema.cell import Settings
from distbench.schema.record import Footprint
from distbench.schema.training import Budget
from distbench.schema.trusted import Trusted

if TYPE_CHECKING:  # it imports torch
    from distbench.training.insides import Inside

HEADS = {"ForSequenceClassification": "texts", "ForImageClassification": "images"}
EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings", "tok_embeddings", "embed_tokens")
FROM_SCRATCH = Budget(epochs=10.0, batch_size=32, learning_rate=5e-4, weight_decay=0.01)
ON_WEIGHTS = Budget(epochs=3.0, batch_size=32, learning_rate=5e-5, weight_decay=0.01)  # the usual fine-tuning


class HFClassifier:
    """A `transformers` sequence or image classifier with its tokenizer or image preparation.

    Attributes: module (torch.nn.Module, evaluation mode; None before a new one has seen data), inputs, settings.
    """

    Options = HFClassifierOptions
    offers: ClassVar[frozenset[str]] = frozenset(
        {"classify", "hidden-states", "learn", "lora", "save", "weights", "layers"}
    )
    learns: ClassVar[frozenset[str]] = frozenset({"texts", "images"})
    permits: ClassVar[frozenset[str]] = PERMITS
    unseen: ClassVar[frozenset[str]] = PERMITS

    def __init__(
        self,
        options: HFClassifierOptions,
        settings: Settings,
        module: Any = None,
        inputs: TextInputs | ImageInputs | None = None,
    ) -> None:
        self.options, self.settings = options, settings
        self.device = prepare_torch(settings)
        self.module, self.inputs = module, inputs
        self.folder: Path | None = None
        self._rows: Any = None  # what `logits` reads while it learns

    # -- files ------------------------------------------------------------------------------------------------------

    @classmethod
    def resolve(cls, source: str, directory: Path, options: HFClassifierOptions | None = None) -> Resolved:
        """Find a checkpoint folder, wheel or hub id with a classification head."""
        found = resolve_checkpoint(source, directory, trust_of(options) if options else NOBODY)
        if found.path is None or found.path.suffix == ".gguf":
            raise RefusedError(f"{source} is no checkpoint folder; hf-classifier opens no other format")
        kind_in(found.path)
        return found

    @classmethod
    def warm_up(cls) -> None:
        """Import torch and transformers."""
        import torch  # noqa: F401
        from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: F401

    @classmethod
    def open(cls, path: Path, settings: Settings, options: HFClassifierOptions | None = None) -> Self:
        """Load weights and inputs; a missing tensor or a NaN is an error, never a random initialisation."""
        options = options or HFClassifierOptions()
        if made := options.model_dump(exclude_defaults=True, exclude={"max_length", *PERMITS}):
            raise UsageError(f"{path} is a finished model; {next(iter(made))!r} says how a new one is made")
        device = prepare_torch(settings)
        module = _opened(path, kind_in(path), settings, opening(path, trust_of(options)))
        refuse_nan(module, path)
        _refuse_head(module.config, path)
        inputs: TextInputs | ImageInputs
        if kind_in(path) == "images":
            inputs = ImageInputs.read(path, module.config)
        else:
            tokenizer = tokenizer_in(path, trust_of(options))
            inputs = TextInputs(tokenizer, length_limit(tokenizer, module.config, options.max_length))
        model = cls(options, settings, module.to(device).eval(), inputs)
        model.folder = path
        return model

    def save(self, folder: Path) -> None:
        """Write an ordinary checkpoint folder."""
        if self.module is None or self.inputs is None:
            raise UsageError("a new classifier gets its head from data: give the student a 'distil' step or a source")
        self.module.save_pretrained(folder)
        self.inputs.save(folder)
        self.folder = folder

    # -- what it is -------------------------------------------------------------------------------------------------

    def footprint(self) -> Footprint:
        """Parameters and bytes of the weight files."""
        if self.folder is None:
            raise RefusedError("the footprint of a model is read after it was saved")
        files = sorted(self.folder.glob("*.safetensors"))
        tensors = {name: entry for file in files for name, entry in check_safetensors(file).items()}
        sizes = {name: int(np.prod(entry["shape"], dtype=np.int64)) for name, entry in tensors.items()}
        embedded = sum(size for name, size in sizes.items() if any(part in name for part in EMBEDDINGS))
        return Footprint(
            bytes_on_disk=sum(file.stat().st_size for file in files),
            params_unique=sum(sizes.values()),
            params_non_embedding=sum(sizes.values()) - embedded,
            dtype="+".join(sorted({str(entry["dtype"]) for entry in tensors.values()})),
        )

    def weight_bytes(self) -> int:
        """Return the bytes of the weights in memory."""
        return weight_bytes(self.module)

    def layer_count(self) -> int:
        """Return the number of encoder blocks."""
        return len(blocks_of(self.module)[2])

    def keep_layers(self, indices: list[int]) -> None:
        """Keep these encoder blocks (sorted, 0-based), in place."""
        keep_blocks(self.module, indices)

    # -- answering --------------------------------------------------------------------------------------------------

    def classify(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return class probabilities [n, classes] for n texts or images; preparing them is a part of the work."""
        import torch

        assert self.inputs is not None, "it was opened or has learned"
        self.module.eval()
        found = np.zeros((len(x), int(self.module.config.num_labels)))
        with torch.inference_mode():
            for rows in self.inputs.batches(x):
                logits = self._run(self.inputs.tensors(x[rows], self.device)).logits
                found[rows] = torch.softmax(logits.double(), dim=-1).cpu().numpy()
        return found

    # -- learning ---------------------------------------------------------------------------------------------------

    def attend(self, signal: FeatureSignal) -> None:
        """Take the rows that are named by their number while it, or its student, learns."""
        assert self.inputs is not None
        self._check(signal)
        self._rows = self.inputs.ids(signal.x) if isinstance(self.inputs, TextInputs) else signal.x

    def logits(self, rows: NDArray[np.int64]) -> Any:
        """Return the logits of training rows, [n, classes]."""
        return self._run(self._tensors(rows)).logits

    def shape(self) -> Shape:
        """Return how large it is. Raises UsageError where its layers differ, as those of a convolutional network."""
        return shape_of(self.module)

    def inside(self, rows: NDArray[np.int64], asked: dict[str, bool]) -> Inside:
        """Return what it computes of training rows."""
        tensors = self._tensors(rows)
        return inside_of(self._run(tensors, **asked), tensors)

    def _tensors(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        if isinstance(self.inputs, TextInputs):
            return self.inputs.padded([self._rows[row] for row in rows], self.device)
        assert self.inputs is not None
        return self.inputs.tensors(self._rows[rows], self.device)

    def _run(self, tensors: dict[str, Any], **asked: bool) -> Any:
        """Run the module on tensors, in the type of its weights."""
        dtype = next(self.module.parameters()).dtype
        given = {n: each.to(dtype) if each.is_floating_point() else each for n, each in tensors.items()}
        return self.module(**given, **asked)

    def learn(self, signal: FeatureSignal, recipe: TrainingRecipe, session: LearnSession) -> LearnReport:
        """Train with AdamW, from scratch or from the weights that are there."""
        import torch

        from distbench.training.classifier import fit

        torch.manual_seed(recipe.seed)
        new = self.module is None
        if new:
            self.module, self.inputs = fresh(self.options, signal)
        assert self.inputs is not None
        self.attend(signal)
        dtype = next(self.module.parameters()).dtype
        self.module = self.module.float().to(self.device)
        extra: dict[str, Any] = {}
        if isinstance(self.inputs, TextInputs):
            extra = {"max_length": self.inputs.limit, "texts_cut": self.inputs.cut(signal.x)}
        scratch = new and self.options.encoder is None
        if scratch and recipe.budget.lora is not None:
            raise UsageError("lora adapts weights that are there, and this classifier starts from random ones")
        report = fit(self, signal, recipe, session, FROM_SCRATCH if scratch else ON_WEIGHTS)
        self._rows = None
        self.module.to(dtype).eval()
        report.options |= extra
        return report

    def _check(self, signal: FeatureSignal) -> None:
        assert self.inputs is not None
        if self.inputs.kind != signal.kind:
            raise UsageError(f"this classifier reads {self.inputs.kind}; the data are {signal.kind}")
        head = int(self.module.config.num_labels)
        if head != signal.classes:
            raise RunError(f"the data have labels 0 to {signal.classes - 1}; the head has {head} labels")


class FreshHFClassifier:
    """`init: {use: hf-classifier, architecture: …}`: a classifier whose sizes come from the data it learns."""

    Options = HFClassifierOptions
    needs: ClassVar[frozenset[str]] = frozenset()
    makes: ClassVar[str | None] = "hf-classifier"
    paths: ClassVar[frozenset[str]] = frozenset({"encoder"})

    def __init__(self, options: HFClassifierOptions) -> None:
        self.options = options

    @property
    def untrained(self) -> bool:
        """Whether all of its weights are random: an encoder's are not."""
        return self.options.encoder is None

    def identity(self) -> dict[str, Any]:
        """Return the digest of the pretrained encoder, if there is one."""
        if self.options.encoder is None:
            return {}
        return {"encoder": checkpoint_identity(Path(self.options.encoder), self.trusted())}

    def trusted(self) -> Trusted | None:
        """Return what of the encoder had to be allowed. Raises RefusedError where it was not."""
        if self.options.encoder is None:
            return None
        return trusted_in(Path(self.options.encoder), trust_of(self.options))

    def make(self, parent: Any, settings: Settings) -> HFClassifier:
        """Return the untrained classifier; `parent` is not used."""
        return HFClassifier(self.options, settings)


def kind_in(folder: Path) -> str:
    """Return what a checkpoint classifies. Raises RefusedError where it has no classification head."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    named = [str(each) for each in config.get("architectures") or []]
    own = config.get("auto_map")
    for name in [*named, *(own if isinstance(own, dict) else ())]:  # a class of the checkpoint's may be called anything
        for ending, kind in HEADS.items():
            if name.endswith(ending):
                return kind
    said = ", ".join(named) or "none"
    raise RefusedError(
        f"{folder} has no classification head (architectures: {said}); to put one on an encoder, train it: "
        "{use: hf-classifier, encoder: FOLDER, fit: …}"
    )


def _opened(folder: Path, kind: str, settings: Settings, how: Opening) -> Any:
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    auto = AutoModelForImageClassification if kind == "images" else AutoModelForSequenceClassification
    try:
        module, report = auto.from_pretrained(
            folder,
            dtype=torch_dtype(settings),
            **how.words(),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below with the tensor's name
        )
    except UNREADABLE as error:
        raise unreadable(folder, error, "load") from error
    refuse_incomplete(report, folder)
    return module


def _refuse_head(config: Any, folder: Path) -> None:
    """Refuse heads whose outputs are no probabilities of one class among several."""
    problem = getattr(config, "problem_type", None)
    if problem not in (None, "single_label_classification") or int(config.num_labels) < 2:
        said = problem or f"{config.num_labels} label"
        raise RefusedError(f"{folder}: its head does not choose among classes ({said}), and only such are compared")
