"""``make audit``: a vulnerability fails it, and what could not be asked is told and not taken for a good sign."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra import audit
from tests.infra.conftest import ROOT

Stage = Callable[..., None]


@pytest.fixture
def pip_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Stands for pip-audit: notes how it is called, and prints what a test says."""

    def stage(stdout: str, *, stderr: str = "", code: int = 0) -> None:
        package = tmp_path / "pip_audit"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(
            "import pathlib, sys\n"
            f"pathlib.Path({str(tmp_path / 'called')!r}).open('a').write(' '.join(sys.argv[1:]) + '\\n')\n"
            f"print({stdout!r}); print({stderr!r}, file=sys.stderr); sys.exit({code})\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return stage


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


def run(tmp_path: Path, *options: str) -> int:
    return audit.main([str(tmp_path / "requirements.txt"), *options])


GOOD = {"name": "numpy", "version": "2.4.6", "vulns": []}
BAD = {"name": "boto3", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": ["CVE-1"]}]}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI and could not be audited: ours (1)"}


def test_nothing_known_is_good(pip_audit: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pip_audit(report(GOOD))
    assert run(tmp_path, "--strict") == 0
    assert "1 of 1 packages audited, 0 vulnerabilities known" in capsys.readouterr().out
    called = (tmp_path / "called").read_text()
    assert f"--disable-pip --require-hashes --requirement {tmp_path}/requirements.txt" in called


def test_a_known_vulnerability_fails_it_and_names_the_remedy(
    pip_audit: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pip_audit(report(GOOD, BAD), code=1)
    assert run(tmp_path) == 1
    assert "boto3 1.0: PYSEC-1, fixed in 1.1" in capsys.readouterr().out


def test_what_the_database_does_not_know_is_told(
    pip_audit: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip-audit itself says "No known vulnerabilities found" then."""
    pip_audit(report(GOOD, UNKNOWN))
    assert run(tmp_path) == 0
    assert "NOT AUDITED, the database does not know ours" in capsys.readouterr().out
    assert run(tmp_path, "--strict") == 2


def test_a_database_that_cannot_be_reached_is_told(
    pip_audit: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pip_audit("", stderr="Traceback\nConnectionError: nobody there", code=1)
    assert run(tmp_path) == 0
    captured = capsys.readouterr()
    assert "NOT AUDITED, the database could not be asked" in captured.out
    assert captured.err.strip() == "ConnectionError: nobody there"
    assert run(tmp_path, "--strict", "--service", "osv") == 2
    assert "--vulnerability-service osv" in (tmp_path / "called").read_text()


def test_every_file_that_an_image_is_installed_from_is_audited_and_hashed() -> None:
    files = audit.requirement_files()
    dockerfiles = "".join(path.read_text() for path in (ROOT / "functions").glob("*/Dockerfile"))
    named = set(re.findall(r"functions/\w+/requirements[\w${}.-]*\.txt", dockerfiles))
    names = {str(path.relative_to(ROOT)) for path in files}
    assert named - names == {"functions/endpoint/requirements-${DEVICE}.txt"}
    assert {f"functions/endpoint/requirements-{device}.txt" for device in ("cpu", "gpu")} <= names
    for path in files:
        entries = [entry for entry in re.split(r"\n(?=[a-z])", path.read_text()) if not entry.startswith("#")]
        assert entries
        assert [entry for entry in entries if not re.match(r"[a-z0-9-]+==\S+ .*\\\n +--hash=sha256:", entry)] == []
