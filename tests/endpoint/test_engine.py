"""Which model on which device, and what the packs are there."""

from pathlib import Path

import numpy as np
import pytest

from functions.endpoint import engine as engines
from functions.endpoint.engine import Engine, open_engine, warm_up
from slipway.artifact import read_manifest
from slipway.errors import ArtifactError, ModelUnavailable, SettingsError
from slipway.loading import load_predictor
from slipway.network import CPU, GPU
from slipway.settings.endpoint import EndpointSettings
from tests.conftest import tiny_rows

TEXTS = [row["text"] for row in tiny_rows(seed=5, count=30)]


def test_a_cpu_opens_what_the_manifest_says(engine: Engine, tiny_artifact: Path) -> None:
    assert engine.backend == f"cpu-{read_manifest(tiny_artifact).serve}"
    assert (engine.bounds.batch_tokens, engine.bounds.run_tokens) == (2 * CPU.pack_tokens, CPU.run_tokens)


def test_settings_bound_the_batches(tiny_artifact: Path) -> None:
    settings = EndpointSettings(
        model_directory=str(tiny_artifact),
        device="cpu",
        batch_tokens=99,
        batches_in_flight=5,
        queue_tokens=7,
        batch_wait_ms=4,
    )
    bounds = open_engine(settings).bounds
    assert (bounds.batch_tokens, bounds.in_flight, bounds.queue_tokens, bounds.wait) == (99, 5, 7, 0.004)


def test_a_gpu_opens_fp16_and_computes_large_batches_in_one_run(
    tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything of a GPU's but the provider, which is not here."""
    monkeypatch.setattr(engines, "GPU", GPU._replace(provider="CPUExecutionProvider", options={}))
    found = open_engine(EndpointSettings(model_directory=str(tiny_artifact), device="gpu"))
    assert (found.backend, found.bounds.batch_tokens) == ("gpu-fp16", GPU.pack_tokens)
    runs: list[int] = []
    run = found.predictor._network._run
    monkeypatch.setattr(found.predictor._network, "_run", lambda batch: (runs.append(len(batch)), run(batch))[1])
    halves = found.predictor.predict(TEXTS)
    assert runs == [len(TEXTS)]
    whole = load_predictor(tiny_artifact, "fp32").predict(TEXTS)
    gap = max(np.abs(h.probabilities - w.probabilities).max() for h, w in zip(halves, whole, strict=True))
    assert gap < read_manifest(tiny_artifact).tolerances["fp16"]


def test_auto_is_a_cpu_where_there_is_no_gpu(tiny_artifact: Path) -> None:
    told: list[str] = []
    found = open_engine(EndpointSettings(model_directory=str(tiny_artifact)), told.append)
    assert found.backend.startswith("cpu-")
    assert told == ["This onnxruntime has no CUDAExecutionProvider. Install onnxruntime-gpu."]


def test_what_is_demanded_is_had_or_refused(tiny_artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="CUDAExecutionProvider"):
        open_engine(EndpointSettings(model_directory=str(tiny_artifact), device="gpu"))
    with pytest.raises(SettingsError, match="SLIPWAY_DEVICE='tpu' is no device"):
        open_engine(EndpointSettings(model_directory=str(tiny_artifact), device="tpu"))
    with pytest.raises(ArtifactError, match=r"holds no manifest\.json"):
        open_engine(EndpointSettings(model_directory=str(tmp_path), device="cpu"))


def test_warming_up_computes_the_largest_batch(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    run = engine.predictor._network._run
    monkeypatch.setattr(engine.predictor._network, "_run", lambda batch: (shapes.append(batch.shape), run(batch))[1])
    warm_up(engine)
    assert shapes == [(2 * CPU.pack_tokens // 32, 32)]
