"""The bill of materials: CycloneDX by its own schema, of the very wheels, the same for the same wheels."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st

from functions.sbom import bill

ROOT = Path(__file__).parents[2]
SHA = hashlib.sha256(b"").hexdigest()


def item(name: str = "Aws_Lambda.Powertools", version: str = "3.37.0", **metadata: Any) -> dict[str, Any]:
    """An installed wheel as pip reports it."""
    download = {"url": "https://index.invalid/a.whl", "archive_info": {"hashes": {"sha256": SHA}}}
    return {"metadata": {"name": name, "version": version, **metadata}, "download_info": download}


def report(*items: dict[str, Any]) -> dict[str, Any]:
    return {"install": list(items), "environment": {"python_full_version": "3.13.1", "platform_machine": "x86_64"}}


def assert_cyclonedx(document: Any) -> None:
    """Valid by the schema, as CycloneDX's own library reads it."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None


def test_a_wheel_is_a_component_with_its_hash_and_not_where_it_came_from() -> None:
    document = bill("slipway-predict", [report(item(license_expression="MIT-0"))])
    (component,) = document["components"]
    assert component["purl"] == component["bom-ref"] == "pkg:pypi/aws-lambda-powertools@3.37.0"
    assert component["hashes"] == [{"alg": "SHA-256", "content": SHA}]
    assert component["licenses"] == [{"expression": "MIT-0"}]
    assert "index.invalid" not in json.dumps(document)
    assert {"name": "slipway:python_full_version", "value": "3.13.1"} in document["metadata"]["properties"]
    assert_cyclonedx(document)


@pytest.mark.parametrize(
    ("metadata", "licenses"),
    [
        ({}, None),
        ({"license_expression": "MIT AND Apache-2.0"}, [{"expression": "MIT AND Apache-2.0"}]),
        ({"license_expression": "(MIT OR X"}, [{"license": {"name": "(MIT OR X"}}]),
        ({"license": "BSD 3-Clause"}, [{"license": {"name": "BSD 3-Clause"}}]),
        ({"license": "Copyright\n" * 50, "classifier": ["License :: OSI Approved :: MIT License"]},
         [{"license": {"name": "MIT License"}}]),
        ({"license": "x" * 101}, None),
    ],
)  # fmt: skip
def test_licenses_are_told_as_the_package_names_them(metadata: dict[str, Any], licenses: Any) -> None:
    document = bill("slipway-predict", [report(item(**metadata))])
    assert document["components"][0].get("licenses") == licenses
    assert_cyclonedx(document)


def test_several_reports_are_one_bill_in_any_order() -> None:
    first, second = report(item("b")), report(item("a"))
    document = bill("slipway-endpoint", [first, second])
    assert document == bill("slipway-endpoint", [second, first])
    assert [component["name"] for component in document["components"]] == ["a", "b"]
    assert document["serialNumber"] != bill("slipway-endpoint", [first])["serialNumber"]
    assert_cyclonedx(document)


words = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)


@given(license=words, expression=words, classifier=words)
def test_whatever_a_package_says_of_its_license_the_bill_is_valid(
    license: str, expression: str, classifier: str
) -> None:
    metadata = {
        "license": license,
        "license_expression": expression,
        "classifier": [f"License :: {classifier}", classifier],
    }
    assert_cyclonedx(bill("slipway-predict", [report(item(**metadata))]))


def test_it_runs_in_an_image_where_there_is_nothing_but_python(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report(item())))
    command = [sys.executable, "-I", "-S", str(ROOT / "functions/sbom.py"), "slipway-predict", "report.json"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == bill("slipway-predict", [report(item())])


@pytest.mark.parametrize("image", ["predict", "batch", "endpoint", "authorize"])
def test_every_image_has_one_of_everything_that_pip_puts_into_it(image: str) -> None:
    lines = (ROOT / f"functions/{image}/Dockerfile").read_text().splitlines()
    installs = [index for index, line in enumerate(lines) if line.startswith("RUN python3 -m pip install")]
    assert installs
    assert all("--report /tmp/report" in lines[index + 1] for index in installs)
    assert f"python3 /tmp/sbom.py slipway-{image} /tmp/report" in lines[installs[-1] + 2]
