import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.packaging import IMPORT_ROOTS, ROOT, FunctionCode, bootstrap_script, fingerprint
from infra.predict_function import PREDICT
from tests.infra.conftest import Assembly


def image_files(assembly: Assembly) -> set[str]:
    (asset,) = [path for path in assembly.directory.glob("asset.*") if (path / PREDICT.source / "Dockerfile").exists()]
    return {str(path.relative_to(asset)) for path in asset.rglob("*") if path.is_file()}


def test_the_image_is_staged_from_the_function_and_the_layers_alone(aws: Assembly) -> None:
    staged = image_files(aws) - {".dockerignore"}
    allowed = ("functions/predict/", "layers/")
    assert not {file for file in staged if not file.startswith(allowed)} - {
        "functions/__init__.py",
        "functions/sbom.py",
    }
    assert not [file for file in staged if "__pycache__" in file or file.endswith(".pyc")]
    assert {"functions/__init__.py", "layers/runtime/python/slipway/settings/__init__.py"} <= staged


def test_the_local_stage_runs_the_same_handler_on_this_machine(local: Assembly) -> None:
    function = local.properties("AWS::Lambda::Function")
    assert function["Runtime"] == "provided.al2023"
    assert function["Handler"] == PREDICT.handler
    assert "SnapStart" not in function  # a custom runtime has none
    assert len(local.resources("AWS::Lambda::Alias")) == 1


def test_the_local_asset_is_one_executable_bootstrap(local: Assembly) -> None:
    assets = [path for path in local.directory.glob("asset.*") if (path / "bootstrap").exists()]
    assert all([path.name for path in asset.iterdir()] == ["bootstrap"] for asset in assets)
    assert all(os.access(asset / "bootstrap", os.X_OK) for asset in assets)
    assert bootstrap_script(PREDICT) in {(asset / "bootstrap").read_text() for asset in assets}


def test_the_bootstrap_becomes_the_runtime_client_of_our_own_interpreter() -> None:
    lines = bootstrap_script(PREDICT).splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[-1] == f"exec {sys.executable} -m awslambdaric functions.predict.handler.handler"
    assert f"export PYTHONPATH={IMPORT_ROOTS[0]}:{IMPORT_ROOTS[1]}" in lines


def test_the_bootstrap_imports_our_code_from_anywhere(tmp_path: Path) -> None:
    script = bootstrap_script(PREDICT).replace(
        "-m awslambdaric", "-c 'import slipway, functions, sys; print(sys.argv[1])'"
    )
    (tmp_path / "bootstrap").write_text(script)
    command = ["/bin/sh", str(tmp_path / "bootstrap")]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": "/bin"}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == PREDICT.handler


@pytest.fixture
def aws(aws: Assembly) -> Assembly:
    return aws.part("*-api")


@pytest.fixture
def local(local: Assembly) -> Assembly:
    return local.part("*-api")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.py").write_text("1")
    (tmp_path / "b.py").write_text("2")
    return tmp_path


def test_an_edited_moved_or_new_source_is_a_new_version(sources: Path) -> None:
    def digest() -> str:
        return fingerprint(("a", "b.py"), root=sources)

    digests = [digest()]
    (sources / "a/x.py").write_text("3")
    digests.append(digest())
    (sources / "a/x.py").rename(sources / "a/y.py")
    digests.append(digest())
    (sources / "a/z.py").touch()
    digests.append(digest())
    assert len(set(digests)) == 4


def test_what_python_compiled_is_no_new_version(sources: Path) -> None:
    before = fingerprint(("a",), root=sources)
    (sources / "a/__pycache__").mkdir()
    (sources / "a/__pycache__/x.pyc").touch()
    assert fingerprint(("a",), root=sources) == before


def test_every_source_of_the_function_exists() -> None:
    assert all((ROOT / source).exists() for source in PREDICT.sources)
    assert FunctionCode(source="functions/x", handler="h").sources[0] == "functions/x"
