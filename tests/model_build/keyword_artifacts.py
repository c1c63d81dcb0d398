"""Artifacts that answer by keywords: each word adds its logits. Whole and valid, made in milliseconds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from model_build.package import golden_examples, seal
from slipway.artifact import TOKENIZER, VARIANTS, Task, model_file
from slipway.encoding import Encoder
from slipway.network import Network

MAX_TOKENS = 16
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]"]


def write_artifact(
    directory: Path,
    words: Mapping[str, Sequence[float]],
    labels: Sequence[str],
    *,
    task: Task = "single-label",
    fingerprint: str = "0" * 64,
    **fields: Any,
) -> Path:
    """An artifact in ``directory/<version>`` whose logits are the sums of ``words``, the same in every variant."""
    draft = directory / "draft"
    draft.mkdir(parents=True)
    encoder = _write_tokenizer(draft / TOKENIZER, list(words))
    weights = np.array([*np.zeros((len(_SPECIAL), len(labels))), *words.values()], np.float32)
    for variant in VARIANTS:
        _write_graph(draft / model_file(variant), weights)
    networks = {variant: Network(draft / model_file(variant), pad_id=0) for variant in VARIANTS}
    golden = golden_examples(["some text"] * 4, encoder, networks, 1.0, task)
    about: dict[str, Any] = {"training": {}, "metrics": {}, "gates": [], "baseline": {}, "code_revision": "0"}
    about |= {"data_fingerprint": fingerprint, "build_fingerprint": "0", "tolerances": dict.fromkeys(VARIANTS, 1e-3)}
    about |= {"max_tokens": MAX_TOKENS, "pad_id": 0, "temperature": 1.0, "speed": {"int8": {"ms_alone": 0.5}}}
    about |= {"serve": "int8"}
    return seal(draft, directory, model="keywords", task=task, labels=list(labels), golden=golden, **about | fields)


def _write_tokenizer(path: Path, words: list[str]) -> Encoder:
    vocabulary = {word: i for i, word in enumerate([*_SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    tokenizer.save(str(path))
    return Encoder(tokenizer, max_tokens=MAX_TOKENS)


def _write_graph(path: Path, weights: np.ndarray) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["weights", "input_ids"], ["rows"]),
            helper.make_node("ReduceSum", ["rows", "tokens"], ["logits"], keepdims=0),
        ],
        "keywords",
        [helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT32, ["texts", "tokens"])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["texts", weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1]), "tokens")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    data = f"{path.name}.data"
    onnx.save_model(model, path, save_as_external_data=True, location=data, size_threshold=64)
