"""``python -m infra.local_cloud up|deploy|down|status|env``."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from infra.local_cloud.cloud import DEFAULT_DIRECTORY, DEFAULT_PORT, LocalCloud
from infra.local_cloud.errors import LocalCloudError

NOT_RUNNING = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; whatever keeps it from working is one line and exit code 1."""
    arguments = _parser().parse_args(argv)
    verb: Callable[[LocalCloud, argparse.Namespace], int] = arguments.verb
    try:
        return verb(LocalCloud(arguments.directory, arguments.port), arguments)
    except LocalCloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _up(cloud: LocalCloud, _: argparse.Namespace) -> int:
    cloud.start()
    print(f"The local cloud runs at {cloud.endpoint_url} (log: {cloud.server.log}).")
    return 0


def _deploy(cloud: LocalCloud, arguments: argparse.Namespace) -> int:
    print(json.dumps(asdict(cloud.deploy(dict(arguments.context))), indent=2))
    return 0


def _down(cloud: LocalCloud, _: argparse.Namespace) -> int:
    print("The local cloud is stopped." if cloud.stop() else "The local cloud did not run.")
    return 0


def _status(cloud: LocalCloud, _: argparse.Namespace) -> int:
    running = cloud.server.running()
    if not running:
        print("The local cloud does not run.")
        return NOT_RUNNING
    print(f"The local cloud runs at {cloud.endpoint_url} (pid {running.pid}, log: {cloud.server.log}).")
    return 0


def _env(cloud: LocalCloud, _: argparse.Namespace) -> int:
    outputs = cloud.outputs()
    deployed = {
        "SLIPWAY_STAGE": "local",
        "SLIPWAY_MODEL": outputs.model,
        "SLIPWAY_MODEL_BUCKET": outputs.model_bucket,
        "SLIPWAY_DATA_BUCKET": outputs.data_bucket,
        "SLIPWAY_URL": outputs.api_url,
        "SLIPWAY_API_KEY": outputs.api_key,
    }
    for name, value in {**cloud.client_env(), **deployed}.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as memory_mb=3538")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local_cloud",
        description="AWS on this machine: starts it, deploys into it, stops it. Needs no AWS account, only Node.",
        epilog="Exit codes: 0 done, 1 refused (one line says why), 2 misused, 3 not running (status).",
    )
    parser.add_argument(
        "--directory", type=Path, default=DEFAULT_DIRECTORY, help="where its files are (default: .local)"
    )
    parser.add_argument("--port", type=int, help=f"port on 127.0.0.1 (default: where it runs, else {DEFAULT_PORT})")
    verbs = parser.add_subparsers(required=True, metavar="up|deploy|down|status|env")
    _verb(verbs, "up", _up, "start it")
    deploy = _verb(verbs, "deploy", _deploy, "start it and run cdk deploy into it; prints what outputs.json holds")
    deploy.add_argument(
        *("-c", "--context"), metavar="NAME=VALUE", type=_pair, action="append", default=[], help="as cdk deploy's -c"
    )
    _verb(verbs, "down", _down, "stop it; what is in it is gone")
    _verb(verbs, "status", _status, "say whether it runs")
    _verb(verbs, "env", _env, 'print the export lines that point a shell at it: eval "$(… env)"')
    return parser


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[LocalCloud, argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(verb=run)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
