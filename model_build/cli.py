"""``slipway build compress tune evaluate compare publish promote rollback history diff verify predict score status …``.

Exit codes: 0 done; 1 refused, with one line on stderr saying what and how to mend it; 2 misuse of the command line;
3 the model was built but a gate refused it; 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence

import typer

from model_build.commands import build as commands_build
from model_build.commands import cost as commands_cost
from model_build.commands import drift as commands_drift
from model_build.commands import keys as commands_keys
from model_build.commands import observe as commands_observe
from model_build.commands import openapi as commands_openapi
from model_build.commands import score as commands_score
from model_build.commands import store as commands_store
from model_build.commands import tune as commands_tune
from slipway.errors import GateFailed, SlipwayError

app = typer.Typer(
    name="slipway",
    help="From labelled text to a production text classifier on AWS serverless.",
    epilog="Exit codes: 0 done, 1 refused (one line says why), 2 wrong usage, 3 a gate refused the model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
commands_build.register(app)
commands_tune.register(app)
commands_store.register(app)
commands_keys.register(app)
commands_score.register(app)
commands_cost.register(app)
commands_drift.register(app)
commands_observe.register(app)
commands_openapi.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every refusal becomes one line on stderr and an exit code."""
    if region := os.environ.get("AWS_REGION"):  # what CDK and other SDKs go by, and boto3 does not
        os.environ.setdefault("AWS_DEFAULT_REGION", region)
    try:
        app(arguments)
    except SlipwayError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        raise SystemExit(3 if isinstance(error, GateFailed) else 1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
