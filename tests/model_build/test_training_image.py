"""The training image's Dockerfile against the repository that it is built from."""

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "model_build/training.Dockerfile"
TEXT = "\n".join(line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#"))
INSTRUCTIONS = re.sub(r"\\\n", " ", TEXT)


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.+)$", INSTRUCTIONS, flags=re.MULTILINE)


def copies() -> list[tuple[str, str]]:
    return [(source, target) for *sources, target in map(str.split, instructions("COPY")) for source in sources]


def is_in_the_context(path: str) -> bool:
    """As docker reads an ignore file: the last rule that matches a path, or a directory above it, decides."""
    inside = True
    for rule in DOCKERFILE.with_name(f"{DOCKERFILE.name}.dockerignore").read_text().splitlines():
        pattern = rule.lstrip("!")
        parents = ["/".join(path.split("/")[:end]) for end in range(1, path.count("/") + 2)]
        if rule and not rule.startswith("#") and any(fnmatch(parent, pattern) for parent in parents):
            inside = rule.startswith("!")
    return inside


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    for source, _ in copies():
        assert (ROOT / source).exists(), source
        assert is_in_the_context(source), source
    assert not is_in_the_context(".venv/lib")
    assert not is_in_the_context("functions/predict")


def test_every_pin_comes_from_pyproject() -> None:
    assert not re.search(r"==\d", INSTRUCTIONS)
    (install,) = [line for line in instructions("RUN") if "tomllib" in line]
    program = shlex.split(install[: install.index(" >")])[-1]
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["build"]
    assert printed.stdout.splitlines() == wanted
    assert [line for line in wanted if re.match("torch==", line)]


def test_the_copied_code_imports_nothing_that_is_left_behind() -> None:
    inside = {Path(target).name for _, target in copies()}
    ours = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} | {"slipway"}
    for source, _ in copies():
        for path in (ROOT / source).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {name.split(".")[0] for name in names} & (ours - inside), path


def test_it_starts_the_entry_without_a_shell_between_it_and_signals() -> None:
    (entry,) = instructions("ENTRYPOINT")
    assert json.loads(entry) == ["python3", "-m", "model_build.remote.entry"]
    assert (ROOT / "model_build/remote/entry.py").exists()


@pytest.mark.parametrize("argument", ["BASE", "TORCH_INDEX"])
def test_a_build_argument_that_is_declared_is_used(argument: str) -> None:
    assert any(line.startswith(f"{argument}=") for line in instructions("ARG"))
    assert f"${{{argument}}}" in INSTRUCTIONS
