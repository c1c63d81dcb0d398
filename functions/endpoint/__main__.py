"""``python -m functions.endpoint serve``: what SageMaker calls a container with."""

import argparse
import sys

from functions.endpoint.server import leave, serve
from slipway.errors import SettingsError
from slipway.settings.endpoint import EndpointSettings


def main(arguments: list[str]) -> int:
    """The status to exit with."""
    parser = argparse.ArgumentParser("functions.endpoint", description="One model behind SageMaker's contract and V2.")
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve")
    parser.parse_args(arguments)
    try:
        return serve(EndpointSettings.from_env())
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
