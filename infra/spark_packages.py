"""The Python packages of the Spark job as one zip, made on this machine by pip: no docker, no image, no registry.

EMR's workers have Spark and a Python 3.11; all else comes with a job, as ``spark.archives``. What is in the zip follows
from hashed requirements and our sources, and so does its name: an unchanged deployment makes and uploads nothing.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import aws_cdk as cdk
import jsii
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.packaging import ROOT, fingerprint
from infra.settings import DeploymentError

REQUIREMENTS = "functions/spark/requirements.txt"
PACKAGE = "layers/runtime/python/slipway"
SBOM = "functions/sbom.py"
PYTHON = "3.11"  # the newer of the two in EMR 7
# EMR 7 is Amazon Linux 2023 with glibc 2.34; pip takes a platform literally, so every older one is named.
_PLATFORMS = tuple(f"manylinux_2_{minor}_x86_64" for minor in range(17, 35))
_ABIS = ("cp311", "abi3", "none")
# As in functions/batch/Dockerfile, and pandas' own tests: 417 MB become 290, which every worker downloads and unpacks.
_NEVER_IMPORTED = (
    *("bin", "pandas/tests", "numpy/tests", "numpy/*/tests", "numpy/*/*/tests", "numpy/_core/_*_tests.*.so"),
    "numpy/f2py",
    *("onnxruntime/capi/libonnxruntime.so.*", "onnxruntime/transformers", "onnxruntime/quantization"),
    *("onnxruntime/tools", "onnxruntime/datasets", "onnxruntime/backend"),
    *("pyarrow/include", "pyarrow/tests", "pyarrow/src", "pyarrow/includes"),
    *("pyarrow/libarrow_flight.*", "pyarrow/libarrow_python_flight.*", "pyarrow/_flight.*"),
    "botocore/data/[!_]*/",
)
_SERVICES = ("s3", "sts")  # of AWS, that the job calls


def packages_asset(scope: Construct, construct_id: str) -> s3_assets.Asset:
    """The zip, which CDK makes where the stack is synthesized to be deployed and it is not in cdk.out yet.

    Raises DeploymentError if it cannot be made.
    """
    bundling = cdk.BundlingOptions(
        image=cdk.DockerImage.from_registry("never-pulled"),  # CDK wants one for a ``local`` that declines
        local=_Pip(),
        output_type=cdk.BundlingOutput.ARCHIVED,
    )
    try:
        return s3_assets.Asset(
            scope,
            construct_id,
            path=str((ROOT / REQUIREMENTS).parent),
            asset_hash_type=cdk.AssetHashType.CUSTOM,
            asset_hash=packages_hash(),
            bundling=bundling,
        )
    except RuntimeError as error:  # all that jsii leaves of an exception in ``_Pip``
        raise DeploymentError(str(error)) from error


def packages_hash(root: Path = ROOT) -> str:
    """A digest of all that the zip is made of: what is installed, how, and the package slipway with its data files."""
    files = [path for path in (root / PACKAGE).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    ours = [str(path.relative_to(root)) for path in sorted(files)]
    return fingerprint((REQUIREMENTS, SBOM, "infra/spark_packages.py", *ours), root=root)


def write_packages(target: Path) -> None:
    """Write the zip: what requirements.txt pins, for EMR's machines whatever this one is, its bill of materials, and
    the package slipway.

    Raises DeploymentError with what pip said if it cannot install them.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-spark-") as scratch:
        directory, report = Path(scratch) / "packages", Path(scratch) / "report.json"
        _install(directory, report)
        command = [sys.executable, str(ROOT / SBOM), "slipway-spark", str(report)]
        (directory / "sbom.cdx.json").write_bytes(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        _prune(directory)
        package = ROOT / PACKAGE
        shutil.copytree(package, directory / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.make_archive(str(target.with_suffix("")), "zip", directory)


@jsii.implements(cdk.ILocalBundling)
class _Pip:
    def try_bundle(self, output_dir: str, _options: object = None, **_: object) -> bool:
        write_packages(Path(output_dir) / "packages.zip")
        return True


def _install(target: Path, report: Path) -> None:
    foreign = ["--implementation", "cp", "--python-version", PYTHON, "--only-binary", ":all:"]
    foreign += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    foreign += [word for abi in _ABIS for word in ("--abi", abi)]
    hashed = ["--no-deps", "--require-hashes", "--requirement", str(ROOT / REQUIREMENTS)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--target", str(target), "--report", str(report), *foreign, *hashed],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeploymentError(
            f"The packages of the Spark job cannot be installed: pip must be in {sys.executable} and reach its index; "
            f"without them deploy with spark_max_vcpus=0.\n{done.stderr.strip()}"
        )


def _prune(directory: Path) -> None:
    for pattern in _NEVER_IMPORTED:
        for path in directory.glob(pattern):
            if path.is_dir() and path.name not in _SERVICES:
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
