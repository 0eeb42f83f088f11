"""A classifier of transformers that is made here: from an architecture's name and sizes, or on a pretrained encoder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from distbench.data.feature_signal import FeatureSignal
from distbench.data.trust import NOBODY, Trust, trust_of
from distbench.errors import RefusedError, UsageError, did_you_mean
from distbench.models.hf_classifier_inputs import ImageInputs, TextInputs, length_limit
from distbench.models.hf_opening import CODE, PICKLE, UNREADABLE, no_tokenizer, opening, runs_code, unreadable
from distbench.models.hf_weights import refuse_nan
from distbench.schema.strict import Strict

DEFAULT = {"texts": "distilbert", "images": "vit"}
BY_DATA = frozenset({"num_labels", "vocab_size", "image_size", "num_channels", "id2label", "label2id", "pad_token_id"})
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
Value = bool | int | float | str | list[int] | list[float] | None


class HFClassifierOptions(Strict):
    """Options of `use: hf-classifier`. All but `max_length` and what is allowed say how a new one is made."""

    max_length: int | None = Field(
        None, ge=4, le=1_000_000, description="tokens of a text that are read; what the model can take where left out"
    )
    architecture: str | None = Field(
        None, min_length=1, description="model type of transformers; distilbert for texts and vit for images"
    )
    config: dict[str, Value] = Field({}, description="the architecture's sizes and switches, where they differ")
    vocabulary: int = Field(4000, ge=64, le=1_000_000, description="word pieces, learnt from the training texts")
    encoder: str | None = Field(
        None, min_length=1, description="folder of a pretrained encoder, which gets a new head; instead of architecture"
    )
    trust_remote_code: bool = Field(False, description=CODE)
    allow_pickle: bool = Field(False, description=PICKLE)

    @model_validator(mode="after")
    def _one_origin(self) -> HFClassifierOptions:
        if self.encoder is not None and (self.architecture is not None or self.config):
            raise ValueError("an encoder has its architecture and sizes; leave out 'architecture' and 'config'")
        if taken := sorted(BY_DATA & self.config.keys()):
            raise ValueError(f"config: {taken[0]} comes from the data")
        return self


def fresh(options: HFClassifierOptions, signal: FeatureSignal) -> tuple[Any, TextInputs | ImageInputs]:
    """Return (untrained module, its inputs) with a head for the signal's classes. Seed torch before.

    Raises UsageError for an architecture or a size that transformers does not have, and for vectors.
    """
    if signal.kind not in DEFAULT:
        raise UsageError("hf-classifier reads texts or images; these data are vectors (a data source may have 'as')")
    if options.encoder is not None:
        return _on_encoder(Path(options.encoder), options, signal)
    architecture = options.architecture or DEFAULT[signal.kind]
    if signal.kind == "images":
        height, width, channels = (int(side) for side in signal.x.shape[1:])
        size: Any = height if height == width else [height, width]
        config = configured(architecture, "images", options.config, {"num_channels": channels, "image_size": size})
        _refuse_patches(config, (height, width))
        return _module(config, signal), ImageInputs(channels, (height, width), [0.5] * channels, [0.5] * channels)
    tokenizer = word_pieces([str(text) for text in signal.x], options.vocabulary)
    about = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        **dict.fromkeys(("bos_token_id", "cls_token_id"), tokenizer.cls_token_id),
        **dict.fromkeys(("eos_token_id", "sep_token_id"), tokenizer.sep_token_id),
    }
    config = configured(architecture, "texts", options.config, about)
    tokenizer.model_max_length = length_limit(tokenizer, config, options.max_length)
    return _module(config, signal), TextInputs(tokenizer, tokenizer.model_max_length)


def configured(architecture: str, kind: str, given: dict[str, Any], about: dict[str, Any]) -> Any:
    """Return an architecture's configuration with the given sizes; `about` is set where the architecture has it."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import modeling_auto as auto

    table = {
        "texts": auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
        "images": auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    }[kind]
    if architecture not in table:
        near = did_you_mean(architecture, list(table))
        raise UsageError(
            f"architecture {architecture!r}: transformers has no classifier of {kind} with this name{near}"
        )
    family = CONFIG_MAPPING[architecture]
    default = family()
    known = {*default.to_dict(), *family.attribute_map}
    for name in given:
        if name not in known:
            raise UsageError(f"config: {architecture} has no {name!r}{did_you_mean(name, sorted(known))}")
    try:
        return family(**{**{name: value for name, value in about.items() if name in known}, **given})
    except Exception as error:  # each family validates its sizes in its own way
        raise UsageError(f"config of {architecture}: {' '.join(str(error).split())[:200]}") from error


def _module(config: Any, signal: FeatureSignal) -> Any:
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    name_classes(config, signal)
    kind = AutoModelForImageClassification if signal.kind == "images" else AutoModelForSequenceClassification
    try:
        return kind.from_config(config)
    except (ValueError, RuntimeError, AssertionError, TypeError, ZeroDivisionError) as error:
        raise UsageError(f"config of {config.model_type}: {' '.join(str(error).split())[:200]}") from error


def name_classes(config: Any, signal: FeatureSignal) -> None:
    """Write the classes' number and names into a configuration."""
    names = signal.names or tuple(str(number) for number in range(signal.classes))
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    config.problem_type = "single_label_classification"


def _refuse_patches(config: Any, size: tuple[int, int]) -> None:
    """Raise UsageError where patches do not tile the image: what is left over would never be seen."""
    patch = getattr(config, "patch_size", None)
    for side in size:
        if isinstance(patch, int) and (patch > side or side % patch):
            raise UsageError(f"config: patch_size {patch} does not divide an image of {size[0]} × {size[1]} pixels")


def _on_encoder(
    folder: Path, options: HFClassifierOptions, signal: FeatureSignal
) -> tuple[Any, TextInputs | ImageInputs]:
    """Return a pretrained encoder with a new head. Only the head may be new: any other missing tensor is refused."""
    from transformers import AutoConfig, AutoModelForImageClassification, AutoModelForSequenceClassification

    how = opening(folder, trust_of(options))
    kind = AutoModelForImageClassification if signal.kind == "images" else AutoModelForSequenceClassification
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=how.runs_code)
        name_classes(config, signal)
        module, report = kind.from_pretrained(folder, config=config, **how.words(), output_loading_info=True)
    except UNREADABLE as error:
        raise unreadable(folder, error, f"make an encoder of {signal.kind} of") from error
    inside = sorted(name for name in report["missing_keys"] if name.startswith(module.base_model_prefix + "."))
    if inside := [name for name in inside if ".pooler." not in name]:
        raise RefusedError(f"{folder}: {len(inside)} tensors of the encoder are missing, first {inside[0]!r}")
    refuse_nan(module, folder)
    module.float()
    if signal.kind == "images":
        return module, ImageInputs.read(folder, config)
    tokenizer = tokenizer_in(folder, trust_of(options))
    return module, TextInputs(tokenizer, length_limit(tokenizer, config, options.max_length))


def tokenizer_in(folder: Path, trust: Trust = NOBODY) -> Any:
    """Return the tokenizer beside the weights."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=runs_code(folder, trust))
    except (OSError, ValueError) as error:
        raise no_tokenizer(folder, error) from error
    if tokenizer.pad_token_id is None:
        raise RefusedError(f"{folder}: its tokenizer has no padding token, so texts cannot share a batch")
    return tokenizer


def numbered(words: Counter[str], size: int) -> dict[str, int]:
    """Return a vocabulary: special tokens, every character (alone and inside a word), then the most frequent words.

    Ours, since the trainer of `tokenizers` breaks ties by the order of a hash table, and so makes another vocabulary in
    every process. Characters always fit in, also beyond `size`: what is not a word is spelled.
    """
    characters = sorted({character for word in words for character in word})
    pieces = [*SPECIAL, *characters, *(f"##{character}" for character in characters)]
    frequent = sorted((word for word in words if len(word) > 1), key=lambda word: (-words[word], word))
    pieces += frequent[: max(0, size - len(pieces))]
    return {piece: number for number, piece in enumerate(pieces)}


def word_pieces(texts: list[str], vocabulary: int) -> Any:
    """Return a lower-casing WordPiece tokenizer (as BERT's) trained on texts; the same texts give the same one."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    made = Tokenizer(models.WordPiece(numbered(words, vocabulary), unk_token="[UNK]"))  # noqa: S106 - a token of text
    made.normalizer, made.pre_tokenizer, made.decoder = normalizer, splitter, decoders.WordPiece()
    places = {token: place for place, token in enumerate(SPECIAL)}
    ends = [(token, places[token]) for token in ("[SEP]", "[CLS]")]
    made.post_processor = processors.BertProcessing(*ends)
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, **roles)
