"""A trained network to a float32 ONNX graph: directly where ``graph.py`` knows the encoder, else through the exporter.

Either way the signature is ``input_ids`` int32 (texts, tokens) → ``logits`` float32 (texts, labels), and the graph is
already optimized: serving opens it as it is.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from model_build.graph import OPSETS, BertShape, build_bert, supports
from model_build.networks import PretrainedClassifier

_SLOWER_ON_CPU = ["SkipLayerNormFusion", "BiasGeluFusion"]  # measured: docs/model-log.md


def to_onnx(network: PretrainedClassifier) -> onnx.ModelProto:
    """The float32 graph of a trained classifier."""
    config = network.encoder.config
    if not supports(config):
        return trace(network)
    shape = BertShape(
        layers=config.num_hidden_layers,  # type: ignore[union-attr, arg-type]
        heads=config.num_attention_heads,  # type: ignore[union-attr, arg-type]
        hidden=config.hidden_size,  # type: ignore[union-attr, arg-type]
        activation=config.hidden_act,  # type: ignore[union-attr, arg-type]
        norm_epsilon=config.layer_norm_eps,  # type: ignore[union-attr, arg-type]
        pad_id=network.pad_id,
    )
    weights = {name: value.detach().float().numpy() for name, value in network.state_dict().items()}
    return build_bert(weights, shape)


def trace(network: nn.Module) -> onnx.ModelProto:
    """Any network through torch's exporter, optimized offline by onnxruntime."""
    with tempfile.TemporaryDirectory() as scratch:
        raw, optimized = Path(scratch) / "raw.onnx", Path(scratch) / "optimized.onnx"
        _export(network, raw)
        _optimize(raw, optimized)
        return onnx.load(optimized)


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write the graph to ``path`` and its weights to ``<path>.data``, where loading can map them into memory."""
    moved = onnx.ModelProto()
    moved.CopyFrom(model)  # saving moves the weights out of the model it is given
    onnx.save_model(
        moved,
        path,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=f"{path.name}.data",
        size_threshold=1024,
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


def _optimize(raw: Path, optimized: Path) -> None:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED  # the next one ties it to a CPU
    options.optimized_model_filepath = str(optimized)
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    ort.InferenceSession(str(raw), options, providers=providers, disabled_optimizers=_SLOWER_ON_CPU)
