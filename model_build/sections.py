"""The sections of a configuration file, each checked whole before anything is read or trained."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from model_build.recipe import parse_recipe
from slipway.artifact import Task

CpuClass = Literal["native", "avx2", "arm64"]
NetworkKind = Literal["pretrained", "pooled", "lstm", "transformer"]
Precision = Literal["fp32", "rows", "dynamic", "static", "weights"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(gt=0, lt=0.5)]
Chance = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """Unknown keys are refused, values are frozen, and NaN is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    """Where the labelled text is, and what is done with it before training.

    ``path`` is a local file, ``s3://bucket/key`` or ``package:module/path`` (what an installed package ships); its
    ending says CSV, TSV, JSON Lines or Parquet. A directory holds ``<label>/*.txt``, a text a file, or ``<label>.txt``,
    a text a line. ``where`` keeps rows whose columns have these values. In a multi-label task a label's cell is a list,
    or text with ``separator`` between labels. ``unlabelled`` is more text of the same kind, for distillation, cut into
    sentences and used up to ``unlabelled_texts``. ``slices`` are columns that the evaluation looks at value by value.
    """

    path: str
    text: str = "text"
    label: str = "label"
    task: Task = "single-label"
    separator: str = Field("|", min_length=1)
    where: dict[str, str] = {}
    label_names: dict[str, str] = {}
    slices: tuple[str, ...] = ()
    unlabelled: str = ""
    unlabelled_text: str = "text"
    unlabelled_where: dict[str, str] = {}
    unlabelled_texts: int = Field(40_000, gt=0)
    max_chars: int = Field(20_000, gt=0)
    strip_html: bool = False
    near_duplicates: Literal["report", "drop"] = "report"
    near_duplicate_similarity: float = Field(0.8, gt=0, le=1)
    suspects: int = Field(50, ge=0)
    dev: Share = 0.1
    test: Share = 0.1
    seed: Seed = 13

    @field_validator("label_names")
    @classmethod
    def _tells_labels_apart(cls, names: dict[str, str]) -> dict[str, str]:
        if len(set(names.values())) < len(names):
            raise ValueError("two labels have the same name")
        return names


class AugmentConfig(Section):
    """Changed copies of training texts, ``copies`` of each; the shares are of words (``typos``: of letters).

    ``label_mixing`` is the share of copies that join two texts, whose targets are mixed by their lengths.
    """

    copies: int = Field(0, ge=0, le=10)
    word_dropout: Chance = 0.1
    swap: Chance = 0.05
    typos: Chance = 0.02
    label_mixing: Chance = 0.0
    seed: Seed = 13


class NetworkConfig(Section):
    """What is trained. ``base`` (a Hugging Face name, a directory or ``package:module/path``) is for ``pretrained``.

    ``trim_vocabulary`` leaves tokens of a base out that the training texts never use: most of a multilingual one's.

    The others learn their tokenizer from the training texts: ``vocabulary`` tokens, by byte-pair encoding or a unigram
    model. ``width`` is the size of an embedding, ``hidden`` that of the MLP, of an LSTM direction or of a Transformer's
    inner layer. ``bigrams`` is the number of hashed embeddings of token pairs that a pooled network adds; ``vectors``
    starts embeddings from the texts' co-occurrences (PPMI and SVD), of unlabelled texts too.
    """

    kind: NetworkKind = "pretrained"
    base: str = ""
    keep_layers: tuple[Annotated[int, Field(ge=0)], ...] = ()
    trim_vocabulary: bool = False
    max_tokens: int = Field(128, ge=8, le=8192)
    dropout: Chance = 0.1
    tokenizer: Literal["bpe", "unigram"] = "bpe"
    vocabulary: int = Field(8_000, ge=300, le=250_000)
    lowercase: bool = True
    width: int = Field(128, ge=4, le=4096)
    hidden: int = Field(128, ge=4, le=16384)
    layers: int = Field(1, ge=1, le=48)
    heads: int = Field(4, ge=1, le=64)
    bigrams: int = Field(0, ge=0, le=4_000_000)
    vectors: Literal["random", "cooccurrence"] = "random"
    embedding_dropout: Chance = 0.0

    @model_validator(mode="after")
    def _fits_together(self) -> "NetworkConfig":
        if (self.kind == "pretrained") != bool(self.base):
            raise ValueError('base is needed by kind "pretrained" and by no other')
        if (self.trim_vocabulary or self.keep_layers) and not self.base:
            raise ValueError(f'trim_vocabulary and keep_layers are for kind "pretrained", not "{self.kind}"')
        if self.kind == "transformer" and self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class TrainConfig(Section):
    """``checks`` is how often an epoch the dev split is scored and a checkpoint written.

    ``weight_decay`` is L2 (decoupled under adamw), ``l1`` is added to the loss for every magnitude of a weight matrix.
    ``patience`` checks without a better dev score end the training; 0 never does. More than one of ``processes`` train
    data-parallel.
    """

    epochs: float = Field(3, gt=0)
    batch_size: int = Field(32, gt=0)
    learning_rate: float = Field(1e-4, gt=0)
    warmup: Chance = 0.1
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: Chance = 0.9
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: float = Field(0.01, ge=0)
    l1: float = Field(0.0, ge=0)
    label_smoothing: Chance = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    patience: int = Field(0, ge=0)
    checks: int = Field(2, gt=0)
    processes: int = Field(1, ge=1, le=64)
    tensorboard: bool = True
    seed: Seed = 13


class DistilConfig(Section):
    """How a recipe's step ``distil`` trains: on soft targets, ``gold`` of them the label and the rest the teachers'.

    The targets are the mean logits of ``teachers`` networks of different seeds at ``temperature`` (Hinton et al. 2015,
    arXiv:1503.02531). Unlabelled texts have the teachers' word alone, as have ``copies`` of each training text, changed
    as ``[augment]`` says: where labelled text is scarce they are more text of its kind than unlabelled text is.
    """

    teachers: int = Field(2, ge=1, le=16)
    copies: int = Field(0, ge=0, le=100)
    temperature: float = Field(1.5, gt=0)
    gold: float = Field(0.5, ge=0, le=1)
    epochs: float = Field(3, gt=0)
    batch_size: int = Field(64, gt=0)
    learning_rate: float = Field(1.2e-4, gt=0)


class CompressConfig(Section):
    """The grid: every recipe in every precision. The build ships the point that meets ``constraint`` and minimizes.

    ``constraint`` bounds points of dev accuracy against ``full`` in fp32. A recipe is steps joined by ``+``:
    see ``recipe.py``.
    """

    recipes: tuple[str, ...] = ("full",)
    precisions: tuple[Precision, ...] = ("fp32", "rows")
    constraint: Annotated[str, Field(pattern=r"^accuracy_drop *<= *\d+(\.\d+)?$")] = "accuracy_drop <= 0.5"
    minimize: Literal["latency", "size"] = "latency"

    @field_validator("recipes")
    @classmethod
    def _can_be_read(cls, recipes: tuple[str, ...]) -> tuple[str, ...]:
        for recipe in recipes:
            parse_recipe(recipe)
        return recipes

    @property
    def accuracy_drop(self) -> float:
        """The bound of ``constraint``, in points."""
        return float(self.constraint.partition("<=")[2])


class GateConfig(Section):
    """Bounds that refuse a model. Accuracy is in points (hundredths), flips and agreement are shares of texts.

    ``cpu_flips`` bounds the labels that int8 changes, on every class of CPU: products that disturb most stay in
    float32 until dev keeps it. ``agreement`` is fp16's with fp32, and with int8 where a GPU is to answer beside CPUs:
    without the latter no GPU serves the version, and CPUs do all the same. ``emulated_texts`` of the test split run on
    each emulated class, those nearest to tipping first; 0 means all. ``speed`` is how many times as fast as fp32 int8
    must be here: a slower one is not refused, fp32 is served instead.
    """

    parity: float = Field(1e-3, gt=0)
    accuracy_drop: float = Field(0.5, ge=0)
    agreement: float = Field(0.995, gt=0, le=1)
    batch_tolerance: float = Field(1e-5, gt=0)
    cpu_tolerance: float = Field(0.05, gt=0)
    cpu_flips: float = Field(0.01, ge=0, le=1)
    emulated_texts: int = Field(24, ge=0)
    cpu_classes: tuple[CpuClass, ...] = ("native", "avx2")
    speed: float = Field(1.3, gt=0)


class TuneConfig(Section):
    """What ``slipway tune`` searches: each key of ``space`` is a key of network, augment or train: ``train.epochs``.

    A value is a list of choices, or ``{low, high}`` with ``log = true`` where magnitudes matter and ``step`` for whole
    numbers. ``trials`` counts all of the study's, those of earlier calls too.
    """

    trials: int = Field(20, ge=1)
    space: dict[str, Any] = {
        "train.learning_rate": {"low": 2e-5, "high": 3e-4, "log": True},
        "train.batch_size": [16, 32, 64],
        "train.epochs": [2, 3, 4],
    }
    seed: Seed = 13
