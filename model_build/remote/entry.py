"""What the training image runs: the build, with SageMaker's directories.

    /opt/ml/input/config/hyperparameters.json   what was asked for, for the card
    /opt/ml/input/data/<channel>/…              configuration and data
    /opt/ml/checkpoints                         the work directory, which SageMaker keeps in S3 and brings back
    /opt/ml/model                               the artifact; SageMaker packs it into model.tar.gz
    /opt/ml/output/failure                      why there is none, in one line

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from rich.console import Console

from model_build.config import BuildConfig, read_config
from model_build.remote.build import GATE_EXIT
from model_build.remote.checkpoint_files import drop_torn
from model_build.remote.inputs import CONFIG_CHANNEL, CONFIG_FILE
from slipway.errors import GateFailed, SlipwayError

_ROOT = Path("/opt/ml")
_REASON_LENGTH = 1024  # what SageMaker shows of the failure file


def main(root: Path = _ROOT) -> int:
    """Build and return the exit code: 0, 1 refused, 3 a gate refused the model."""
    try:
        build_in(root)
    except SlipwayError as error:
        _report(root, " ".join(str(error).split()))
        return GATE_EXIT if isinstance(error, GateFailed) else 1
    except Exception as error:  # whatever it is: who started the job sees this file, and not the traceback in the log
        _report(root, f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise
    return 0


def build_in(root: Path) -> Path:
    """Build, or go on with what an interrupted job left. Returns the artifact, below ``root/model``."""
    import torch

    from model_build.fingerprint import find_built
    from model_build.pipeline import build
    from model_build.stages import Build

    asked = json.loads((root / "input/config/hyperparameters.json").read_text("utf-8"))
    os.chdir(root / "input/data")  # the configuration's paths are relative to it
    config = spread(read_config(Path(CONFIG_CHANNEL) / CONFIG_FILE), gpus=torch.cuda.device_count())
    directory = root / "checkpoints" / config.model
    for work in directory.glob(".work-*"):
        drop_torn(work)
    run = Build(
        config=config,
        config_path=asked["config_path"],
        overrides=json.loads(asked["overrides"]),
        directory=directory,
        console=Console(width=120),
    )
    artifact = find_built(config, directory) or build(run)
    target = root / "model" / artifact.name
    shutil.move(artifact, target)
    return target


def spread(config: BuildConfig, *, gpus: int) -> BuildConfig:
    """Train in a process a GPU, with batches that together are as large as the configuration's.

    A configuration that says itself in how many processes it trains is left alone.
    """
    if gpus < 2 or config.train.processes > 1:
        return config
    train, distil = ({"batch_size": -(-part.batch_size // gpus)} for part in (config.train, config.distil))
    return config.model_copy(
        update={
            "train": config.train.model_copy(update=train | {"processes": gpus}),
            "distil": config.distil.model_copy(update=distil),
        }
    )


def _report(root: Path, reason: str) -> None:
    print("error:", reason, file=sys.stderr)  # noqa: T201 - the job's log
    failure = root / "output/failure"
    failure.parent.mkdir(parents=True, exist_ok=True)
    failure.write_bytes(reason.encode()[:_REASON_LENGTH])


if __name__ == "__main__":
    # The first process of a container ignores signals that it has no handler for; a spot instance that is taken away
    # sends this one two minutes before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
