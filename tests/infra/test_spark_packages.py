"""The zip of packages: what is pinned, when it is made, and that Spark runs the job from it and from nothing else."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import aws_cdk as cdk
import pytest
from packaging.requirements import Requirement

from infra import spark_packages
from infra.settings import DeploymentError
from infra.spark_application import spark_parameters
from infra.spark_packages import PACKAGE, REQUIREMENTS, SBOM, packages_asset, packages_hash, write_packages
from tests.infra.conftest import ROOT
from tests.infra.test_spark import UNBUNDLED
from tests.unit.batch.test_spark import assert_as_score_says, write_films

TEXT = (ROOT / REQUIREMENTS).read_text()
PINNED = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", TEXT, flags=re.MULTILINE))
EXCLUDED = set(re.findall(r"^([a-z0-9-]+)", (ROOT / "functions/predict/excludes.txt").read_text(), flags=re.MULTILINE))
OF_EMR = {"pyspark", "py4j"}
EMR_SPARK = "3.5.6"  # of emr-7.13.0; ours in pyproject.toml is newer, and both must do


def test_direct_pins_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = [*project["dependencies"], *project["optional-dependencies"]["spark"]]
    declared = dict(entry.split("==") for entry in entries if not entry.startswith("pyspark"))
    assert {name: PINNED.get(name) for name in declared} == declared


def test_every_package_is_hashed_and_no_index_is_named() -> None:
    entries = [entry for entry in re.split(r"\n(?=[a-z])", TEXT) if "==" in entry.split()[0]]
    assert len(entries) == len(PINNED)
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in TEXT


def test_what_is_installed_does_not_depend_on_the_python_that_deploys() -> None:
    """Pip chooses wheels for another Python, and still reads markers as those of its own."""
    assert not re.findall(r"; .*python", TEXT)


def test_nothing_is_installed_that_emr_brings_or_that_no_function_has() -> None:
    assert PINNED.keys() & (OF_EMR | EXCLUDED | {"torch", "transformers", "onnx"}) == set()


def test_a_package_has_the_version_that_the_functions_have() -> None:
    functions = (ROOT / "functions/batch/requirements.txt").read_text()
    theirs = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", functions, flags=re.MULTILINE))
    assert theirs.items() <= PINNED.items()


@pytest.mark.parametrize("package", sorted(PINNED))
def test_declared_dependencies_are_pinned_or_excluded_on_purpose(package: str) -> None:
    """``--no-deps`` installs, so nobody else would notice. Read from the packages installed here."""
    try:
        needs = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed here")
    for needed in map(Requirement, needs):
        if needed.name.lower() in EXCLUDED or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        version = PINNED[needed.name.lower().replace("_", "-")]
        assert needed.specifier.contains(version), f"{package} needs {needed}, {version} is pinned"


# --- when it is made


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every zip that was asked for; each is small."""
    asked: list[Path] = []

    def write(target: Path) -> None:
        asked.append(target)
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("numpy/__init__.py", "")

    monkeypatch.setattr(spark_packages, "write_packages", write)
    return asked


def _synthesize(directory: Path, **context: object) -> list[str]:
    app = cdk.App(context=context, outdir=str(directory))
    packages_asset(cdk.Stack(app, "stack"), "Packages")
    app.synth()
    return sorted(path.name for path in directory.glob("asset.*"))


def test_it_is_made_once_and_found_again(made: list[Path], tmp_path: Path) -> None:
    first = _synthesize(tmp_path)
    (name,) = [name for name in first if name.endswith(".zip")]
    assert zipfile.ZipFile(tmp_path / name).namelist() == ["numpy/__init__.py"]
    assert _synthesize(tmp_path) == first
    assert len(made) == 1


def test_it_is_not_made_where_nothing_is_to_be_deployed(made: list[Path], tmp_path: Path) -> None:
    _synthesize(tmp_path, **UNBUNDLED)
    assert made == []


def test_what_pip_says_is_one_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DeploymentError, match=r"must be in .*python.* and reach its index(.|\n)*aws-lambda-powertools"):
        _synthesize(tmp_path)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of all that the zip is made of."""
    for name in (REQUIREMENTS, SBOM, "infra/spark_packages.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE)
    return tmp_path


def test_the_same_sources_have_the_same_name_wherever_they_lie(sources: Path) -> None:
    (sources / PACKAGE / "__pycache__").mkdir(exist_ok=True)
    (sources / PACKAGE / "__pycache__/new.pyc").touch()
    assert packages_hash(sources) == packages_hash(ROOT)


@pytest.mark.parametrize(
    "name", [REQUIREMENTS, SBOM, "infra/spark_packages.py", f"{PACKAGE}/batch/rows.py", f"{PACKAGE}/py.typed"]
)
def test_whatever_changes_it_changes_its_name(sources: Path, name: str) -> None:
    before = packages_hash(sources)
    (sources / name).write_text((sources / name).read_text() + "# changed\n")
    assert packages_hash(sources) != before


# --- that it works


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("packages") / "packages.zip"
    write_packages(target)
    return target


@pytest.mark.slow
def test_it_holds_what_the_job_imports_for_emr_s_machines_and_little_else(packages: Path) -> None:
    files = zipfile.ZipFile(packages).infolist()
    names = {file.filename for file in files}
    ours = {str(path.relative_to(ROOT / PACKAGE.rpartition("/")[0])) for path in (ROOT / PACKAGE).rglob("*.py")}
    assert ours <= names
    assert not [
        name for name in names if "__pycache__" in name or name.startswith(("pyspark/", "bin/", "pandas/tests"))
    ]
    compiled = {match[1] for name in names if (match := re.search(r"\.(cpython-\S+|abi3)\.so$", name))}
    assert compiled == {"cpython-311-x86_64-linux-gnu", "abi3"}
    assert {"s3", "sts"} == {name.split("/")[2] for name in names if re.match(r"botocore/data/\w+/.", name)}
    bill = json.loads(zipfile.ZipFile(packages).read("sbom.cdx.json"))
    elsewhere = set(re.findall(r"^([a-z0-9-]+)==\S+ ;", TEXT, flags=re.MULTILINE))  # for other systems than Linux
    assert {c["name"]: c["version"] for c in bill["components"]} == {n: PINNED[n] for n in PINNED.keys() - elsewhere}
    assert packages.stat().st_size < 120e6
    assert sum(file.file_size for file in files) < 350e6, "a worker has 20 GB, and pays for the time to unpack"


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without site-packages: what it imports is its own or lies on PYTHONPATH."""
    script = tmp_path_factory.mktemp("bin") / "python3.11"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    script.chmod(0o755)
    found = subprocess.run([script, "-c", "import numpy"], env={"PATH": os.defpath}, capture_output=True, check=False)
    assert found.returncode != 0
    return script


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that goes with the test: two unpacked archives and a Spark are more than a gigabyte."""
    with tempfile.TemporaryDirectory(prefix="slipway-spark-") as directory:
        yield Path(directory)


def _spark(version: str, directory: Path) -> Path:
    """The files of a Spark: that of this environment, or the one that EMR has."""
    if version != EMR_SPARK:
        pyspark = pytest.importorskip("pyspark")
        return Path(pyspark.__file__).parent
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(directory)]
    subprocess.run([*command, f"pyspark=={version}"], check=True, capture_output=True)
    return directory / "pyspark"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
@pytest.mark.parametrize("version", [EMR_SPARK, "ours"])
def test_spark_runs_the_job_from_the_zip_alone(
    version: str, packages: Path, isolated: Path, tiny_artifact: Path, scratch: Path
) -> None:
    """A driver and an executor in processes of their own, for which Spark unpacks ``spark.archives`` as on EMR."""
    file = write_films(scratch / "films.csv")
    environment = scratch / "driver/environment"
    zipfile.ZipFile(packages).extractall(environment)  # EMR unpacks it for the driver, a local Spark does not
    home = scratch / "home"
    home.mkdir()
    for entry in _spark(version, scratch / "spark").iterdir():
        (home / entry.name).symlink_to(entry)
    entry = shutil.copy(ROOT / PACKAGE / "spark.py", scratch / "0123abcd.py")
    command = [home / "bin/spark-submit", "--master", "local-cluster[1,2,1024]", *_parameters(packages, isolated)]
    job = [entry, file, scratch / "out", "--artifact", tiny_artifact, "--format", "json"]
    variables = {"SPARK_HOME": home, "PYSPARK_PYTHON": isolated, "PYTHONPATH": "./environment"}
    variables |= {"SPARK_LOCAL_IP": "127.0.0.1", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [*command, *job], cwd=environment.parent, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    (unpacked,) = home.glob("work/*/*/environment")
    assert (unpacked / "slipway/spark.py").exists()
    assert_as_score_says(scratch / "out", file, tiny_artifact, scratch / "local")


def _parameters(packages: Path, python: Path) -> list[str]:
    """Those of a job on EMR, with this machine's Python and less memory."""
    smaller = "--conf spark.driver.memory=1g --conf spark.executor.memory=1g --conf spark.executor.cores=2"
    words = f"{spark_parameters(str(packages), region='eu-central-1')} {smaller} --conf spark.ui.enabled=false".split()
    return [word.replace("/usr/bin/python3.11", str(python)) for word in words]
