"""``python -m benchmarks.peers.export BASE GRAPH``: the network of the torch peers through ``torch.onnx``, in fp32."""

import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from benchmarks.peers.padded import INPUTS

_OPSET = 18


class _Logits(nn.Module):
    """Positional arguments in, a tensor out: what the exporter traces."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        logits: Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).logits
        return logits


def export(base: Path, graph: Path) -> None:
    """Write the graph; batch and length stay free."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=2, attn_implementation="eager"
    )
    example = torch.ones(2, 8, dtype=torch.long)
    axes = {name: {0: "texts", 1: "tokens"} for name in INPUTS}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer warns of every Python branch
        torch.onnx.export(
            _Logits(model).eval(),
            (example, example, torch.zeros_like(example)),
            str(graph),
            input_names=list(INPUTS),
            output_names=["logits"],
            dynamic_axes={**axes, "logits": {0: "texts"}},
            opset_version=_OPSET,
            dynamo=False,
        )


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
