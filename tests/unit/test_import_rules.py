"""Who may import whom, read from the source; and what the predict function really pulls in."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "layers" / "runtime" / "python"
ENDPOINT_PACKAGES = {"starlette", "uvicorn", "uvloop", "prometheus_client", "grpc", "google"}
OURS = {"slipway", "functions", "model_build", "infra", "tests"}
BUILD_ONLY = {"torch", "transformers", "accelerate", "sklearn", "onnx", "huggingface_hub", "pydantic"}
# urllib3 comes with botocore, whose errors it raises; snapshot_restore_py with Lambda's runtime client.
RUNTIME_PACKAGES = {
    *("numpy", "onnxruntime", "tokenizers", "boto3", "botocore", "urllib3", "obstore", "aws_lambda_powertools"),
}
BATCH_PACKAGES = {"pyarrow", "zstandard"}  # of the image of functions/batch, and of nothing else
FUNCTION_PACKAGES = RUNTIME_PACKAGES | {"snapshot_restore_py"}


def _files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "node_modules" not in path.parts)


def _imports(path: Path) -> Iterator[str]:
    """Dotted names of every module that ``path`` imports anywhere, in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively, past these rules"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "importlib.import_module"):
            assert path.is_relative_to(ROOT / "model_build"), f"{path} imports by a name that no rule can see"


def _packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imports(path)}


def _ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


_slipway = _files(RUNTIME / "slipway")
_functions = _files(ROOT / "functions")
_build = _files(ROOT / "model_build")
_infra = _files(ROOT / "infra")


def test_the_tree_is_where_these_rules_look() -> None:
    assert all(map(len, (_slipway, _functions, _build, _infra)))


@pytest.mark.parametrize("path", _slipway, ids=_ids(_slipway))
def test_slipway_imports_nothing_of_ours_and_few_packages(path: Path) -> None:
    allowed = RUNTIME_PACKAGES | (BATCH_PACKAGES if "batch" in path.parts else set())
    allowed |= {"pyspark", "pandas"} if path.name == "spark.py" else set()
    assert _packages(path) - set(sys.stdlib_module_names) - allowed <= {"slipway"}


@pytest.mark.parametrize("path", _functions, ids=_ids(_functions))
def test_functions_import_slipway_and_what_the_image_holds(path: Path) -> None:
    allowed = FUNCTION_PACKAGES | (ENDPOINT_PACKAGES if "endpoint" in path.parts else set())
    allowed |= {"cryptography"} if "authorize" in path.parts else set()
    assert _packages(path) - set(sys.stdlib_module_names) - allowed <= {"slipway", "functions"}


@pytest.mark.parametrize("path", _functions, ids=_ids(_functions))
def test_a_function_imports_no_other_function(path: Path) -> None:
    parts = path.relative_to(ROOT).parts
    own = ".".join(parts[:2]) if len(parts) > 2 else "functions"
    assert all(name.startswith(own) for name in _imports(path) if name.startswith("functions."))


@pytest.mark.parametrize("path", _build, ids=_ids(_build))
def test_model_build_imports_slipway_and_itself(path: Path) -> None:
    assert _packages(path) & OURS <= {"slipway", "model_build"}


@pytest.mark.parametrize("path", _infra, ids=_ids(_infra))
def test_infra_knows_only_the_settings_of_slipway(path: Path) -> None:
    ours = {name for name in _imports(path) if name.partition(".")[0] in OURS - {"infra"}}
    assert all(name == "slipway.settings" or name.startswith("slipway.settings.") for name in ours)


@pytest.mark.parametrize("path", [*_slipway, *_functions, *_infra], ids=_ids([*_slipway, *_functions, *_infra]))
def test_torch_and_its_kin_are_imported_only_by_model_build(path: Path) -> None:
    assert not _packages(path) & BUILD_ONLY


@pytest.mark.parametrize(
    ("package", "only"),
    [
        ("onnxruntime", ["network.py"]),
        ("boto3", ["cloudwatch.py", "calls.py", "invoking.py", "objects.py", "workflows.py"]),
        ("botocore", ["credentials.py", "cloudwatch.py", "calls.py", "invoking.py", "objects.py", "workflows.py"]),
        ("obstore", ["quick_objects.py"]),
        ("tokenizers", ["encoding.py"]),
        ("pyarrow", ["parquet.py"]),
    ],
)
def test_few_modules_of_slipway_use_each_heavy_package(package: str, only: list[str]) -> None:
    assert [path.name for path in _slipway if package in _packages(path)] == only


def test_functions_leave_s3_and_onnxruntime_to_slipway() -> None:
    assert not [
        path for path in _functions if _packages(path) & {"boto3", "botocore", "obstore", "onnxruntime", "tokenizers"}
    ]


_PROBE = """
import json, sys
sys.path[:0] = [{runtime!r}, {root!r}]
{statement}
print("PACKAGES", json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def _loaded_by(statement: str, **variables: str) -> set[str]:
    script = _PROBE.format(runtime=str(RUNTIME), root=str(ROOT), statement=statement)
    environment = {
        **os.environ,
        "SLIPWAY_MODEL": "demo",
        "SLIPWAY_MODEL_BUCKET": "bucket",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nothing listens there: it starts without a model
        "AWS_MAX_ATTEMPTS": "1",
        **variables,
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    answer = next(line for line in done.stdout.splitlines() if line.startswith("PACKAGES"))
    return set(json.loads(answer.removeprefix("PACKAGES")))


def test_the_predict_function_pulls_in_nothing_that_only_the_build_needs() -> None:
    loaded = _loaded_by("import functions.predict.handler")
    assert {"onnxruntime", "tokenizers", "boto3"} <= loaded, "the probe measured the real thing"
    assert not loaded & (BUILD_ONLY | {"model_build", "infra", "pandas", "scipy", "requests"})


def test_in_lambda_a_cold_start_does_without_boto3_and_asyncio() -> None:
    loaded = _loaded_by(
        "import functions.predict.handler",
        AWS_LAMBDA_FUNCTION_NAME="predict",
        AWS_REGION="eu-central-1",
    )
    assert "obstore" in loaded
    assert not loaded & {"boto3", "s3transfer", "asyncio"}  # Powertools asks botocore's top module for its version


def test_the_settings_that_infra_reads_cost_no_numpy() -> None:
    assert not _loaded_by("import slipway.settings") & (FUNCTION_PACKAGES | BUILD_ONLY)
