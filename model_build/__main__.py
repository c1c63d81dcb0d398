"""``python -m model_build`` is ``slipway``."""

from model_build.cli import main

main()
