"""Triton by way of NVIDIA's pytriton, in a virtual environment of its own.

``ARTIFACT BATCHES WORKSPACE PORT GRPC_PORT DELAY_MS``. Two instances, as our server has two batches in flight; its
dynamic batcher on, with so much delay. On loopback only.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers.served import Scorer, end_with_parent
from slipway.artifact import read_manifest

HOST = "127.0.0.1"
MAX_BATCH = 32
INSTANCES = 2


def _infer(scorer: Scorer) -> Any:
    @batch  # type: ignore[untyped-decorator]  # not in this environment
    def infer(text: Any) -> dict[str, Any]:
        scored = scorer([raw.decode() for raw in text[:, 0]])
        return {
            "label": np.char.encode(np.array([[each.label] for each in scored]), "utf-8"),
            "score": np.array([[each.score] for each in scored], np.float32),
            "scores": np.array([each.scores for each in scored], np.float32),
        }

    return infer


def main(artifact: Path, batches: Path, workspace: Path, port: int, grpc_port: int, delay_ms: float) -> None:
    """Serve until the end."""
    end_with_parent()
    manifest = read_manifest(artifact)
    scorer = Scorer(artifact, batches)
    config = TritonConfig(
        http_address=HOST,
        http_port=port,
        grpc_address=HOST,
        grpc_port=grpc_port,
        allow_metrics=False,
        exit_timeout_secs=1,
    )
    batcher = DynamicBatcher(max_queue_delay_microseconds=round(delay_ms * 1000))
    with Triton(config=config, workspace=workspace) as triton:
        triton.bind(
            model_name=manifest.model,
            infer_func=[_infer(scorer) for _ in range(INSTANCES)],
            inputs=[Tensor(name="text", dtype=np.bytes_, shape=(1,))],
            outputs=[
                Tensor(name="label", dtype=np.bytes_, shape=(1,)),
                Tensor(name="score", dtype=np.float32, shape=(1,)),
                Tensor(name="scores", dtype=np.float32, shape=(len(manifest.labels),)),
            ],
            config=ModelConfig(max_batch_size=MAX_BATCH, batcher=batcher),
        )
        triton.serve()


if __name__ == "__main__":
    where, counted, scratch, http, grpc, delay = sys.argv[1:]
    main(Path(where), Path(counted), Path(scratch), int(http), int(grpc), float(delay))
