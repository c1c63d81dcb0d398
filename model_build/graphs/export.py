"""A trained network to a float32 ONNX graph: directly where a builder of ours knows it, else through the exporter.

Either way the signature is ``input_ids`` int32 (texts, tokens) → ``logits`` float32 (texts, labels), and the graph is
already optimized: serving opens it as it is.
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from model_build.graphs.encoder import OPSETS, BertShape, build_bert, supports
from model_build.graphs.lstm import build_lstm
from model_build.training.networks import Classifier, EncoderClassifier, LstmClassifier

# The first two are slower on a CPU (docs/model-log.md); the third would make weight-only products of integer ones.
_LEFT_OUT = ["SkipLayerNormFusion", "BiasGeluFusion", "DQMatMulNBitsFusion"]
_SMALL = 8_192  # bytes


def to_onnx(network: Classifier, *, texts_first: bool = False) -> onnx.ModelProto:
    """The float32 graph of a trained classifier; ``texts_first`` is the layout that ``fuse.py`` fuses for GPUs."""
    weights = {name: value.detach().float().numpy() for name, value in network.state_dict().items()}
    if isinstance(network, LstmClassifier):
        lstm = network.lstm
        return build_lstm(weights, layers=lstm.num_layers, hidden=lstm.hidden_size, pad_id=network.pad_id)
    if isinstance(network, EncoderClassifier) and supports(config := network.encoder.config):
        return build_bert(weights, _bert_shape(config, network.pad_id), texts_first=texts_first)
    return trace(network)


def _bert_shape(config: Any, pad_id: int) -> BertShape:
    return BertShape(
        layers=config.num_hidden_layers,
        head=config.hidden_size // config.num_attention_heads,
        hidden=config.hidden_size,
        activation=config.hidden_act,
        norm_epsilon=config.layer_norm_eps,
        pad_id=pad_id,
    )


def trace(network: nn.Module) -> onnx.ModelProto:
    """Any network through torch's exporter, optimized offline by onnxruntime."""
    with tempfile.TemporaryDirectory() as scratch:
        raw, optimized = Path(scratch) / "raw.onnx", Path(scratch) / "optimized.onnx"
        _export(network, raw)
        optimize(raw, optimized)
        return onnx.load(optimized)


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write the graph to ``path`` and its weights to ``<path>.data``, where loading can map them into memory.

    What is small stays in the graph, unless everything is: onnxruntime opens the file for every tensor in it, 1.5 ms of
    14 for 57 of them.
    """
    moved = onnx.ModelProto()
    moved.CopyFrom(model)  # saving moves the weights out of the model it is given
    largest = max(len(weights.raw_data) for weights in moved.graph.initializer)
    onnx.save_model(
        moved,
        path,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=f"{path.name}.data",
        size_threshold=min(_SMALL, largest),
    )
    for written in path.parent.glob(f"{path.name}*"):
        written.chmod(0o644)  # onnx writes weights for their owner alone; a function is another user


class _Int32Ids(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor) -> Tensor:
        logits: Tensor = self.network(input_ids.long())
        return logits


def _export(network: nn.Module, path: Path) -> None:
    example = torch.from_numpy(np.ones((2, 8), np.int32))
    if set_attention := getattr(getattr(network, "encoder", None), "set_attn_implementation", None):
        set_attention("eager")  # the only one whose trace onnxruntime can fuse
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer warns of every Python branch; parity is a gate
        torch.onnx.export(
            _Int32Ids(network).eval(),
            (example,),
            str(path),
            input_names=["input_ids"],
            output_names=["logits"],
            dynamic_axes={"input_ids": {0: "texts", 1: "tokens"}, "logits": {0: "texts"}},
            opset_version=min(OPSETS[""], 18),
            dynamo=False,
        )


def optimize(raw: Path, optimized: Path) -> None:
    """Fuse what onnxruntime can fuse on any CPU, and write the graph as serving opens it."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED  # the next one ties it to a CPU
    options.optimized_model_filepath = str(optimized)
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    ort.InferenceSession(str(raw), options, providers=providers, disabled_optimizers=_LEFT_OUT)
