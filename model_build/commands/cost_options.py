"""Options of ``slipway cost``: what is measured, what is compared, and everything that has to be assumed."""

from pathlib import Path
from typing import Annotated

import typer

from slipway.prices import REGION

MEMORIES = "512,1024,1769,2048,3008"
RATES = "1,10,100,1000"

Measured = Annotated[Path | None, typer.Argument(help="A directory that `slipway build` made: it is timed here.")]
CloudWatch = Annotated[str | None, typer.Option(metavar="MODEL-STAGE", help="Read a deployment's metrics instead.")]
Hours = Annotated[int, typer.Option(help="How far to look back in CloudWatch.")]
Lengths = Annotated[str, typer.Option(help="Tokens of the texts; GPUs are compared at the middle one.")]
Texts = Annotated[int, typer.Option(help="Texts in a request.")]
Memory = Annotated[str, typer.Option(help="Memory sizes side by side, in MB.")]
DeployedMb = Annotated[int, typer.Option(help="Memory of the deployment: GPUs are compared with it.")]
Rates = Annotated[str, typer.Option(help="Rates of which a month is shown.")]
Gpu = Annotated[list[str] | None, typer.Option(metavar="INSTANCE=TEXTS/S", help="What a GPU was measured at.")]
GpuMeasured = Annotated[Path | None, typer.Option(help="A file of such measurements, as in docs/cost.md.")]
Utilisation = Annotated[float, typer.Option(help="The part of a GPU's texts a second to plan with.")]
WaitMs = Annotated[float | None, typer.Option(help="How long the function waits for a GPU. [as measured]")]
ColdStarts = Annotated[float, typer.Option(help="The part of the requests that begin with one.")]
InitMs = Annotated[float, typer.Option(help="What a cold start takes on one vCPU.")]
OverheadMs = Annotated[float, typer.Option(help="The handler's own time a request.")]
LogBytes = Annotated[int, typer.Option(help="Logged a request.")]
Region = Annotated[str | None, typer.Option(help=f"Of prices and CloudWatch. [{REGION}, your own]")]
PriceFile = Annotated[Path, typer.Option("--prices", help="Your own table of prices.", show_default="list prices")]
Plot = Annotated[Path | None, typer.Option(help="Write a plot to this PNG.")]
