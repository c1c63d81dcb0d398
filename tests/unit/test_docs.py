"""The documents against the code: what they name is there, and what is there is named."""

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from functions.predict import telemetry
from infra.settings import Deployment
from slipway.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", document.read_text("utf-8"), re.MULTILINE)) <= {
        pair for target in targets for pair in ((target, ""), ("", target))
    }


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for target in re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE):
        assert f"make {target}" in listed


def test_every_setting_of_a_function_is_documented() -> None:
    for field in dataclasses.fields(Settings):
        assert f"`{PREFIX}{field.name.upper()}`" in ARCHITECTURE


def test_every_argument_of_a_deployment_is_documented_or_left_to_infra_settings() -> None:
    documented = set(re.findall(r"`([a-z_]+)`", ARCHITECTURE.partition("## Deployment arguments")[2]))
    assert {field.name for field in dataclasses.fields(Deployment)} - documented <= {"local"}


# Words of the Embedded Metric Format itself.
EMF = {"Slipway", "Count", "Milliseconds", "Timestamp", "CloudWatchMetrics", "Namespace"}
EMF |= {"Dimensions", "Metrics", "Name", "Unit", "Root", "LambdaContext"}


def test_every_metric_is_documented() -> None:
    source = Path(telemetry.__file__).read_text()
    names = set(re.findall(r'"([A-Z][a-z]\w+)"', source)) - EMF
    assert len(names) >= 10
    for name in names:
        assert f"`{name}`" in ARCHITECTURE


def test_every_module_of_the_tree_in_the_architecture_exists() -> None:
    for name in re.findall(r"`(\w+\.py)`", ARCHITECTURE):
        assert any(list((ROOT / folder).rglob(name)) for folder in ("model_build", "functions", "infra")), name
