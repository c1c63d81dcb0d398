"""``make audit``: known vulnerabilities of what the images install, as pip-audit finds them at PyPI or OSV.

Exit codes: 0 none is known; 1 some are; 0 as well, and a line that says so, where the database could not be asked or
does not know a package, since that is no fault of the packages. ``--strict`` makes that a 2.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent  # not packaging's, which would start the CDK's Node process
_SECONDS = 15  # for one answer of the database


class Found(NamedTuple):
    """What is known of one file: packages that were ``asked`` about, those nobody knew, and findings in words."""

    asked: int
    unknown: list[str]
    vulnerable: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit every requirements file of ``functions/``; the exit code."""
    given = _parser().parse_args(arguments)
    findings = {path: audit(path, service=given.service) for path in given.files or requirement_files()}
    for path, found in findings.items():
        for line in _told(path, found):
            print(line)
    if any(found and found.vulnerable for found in findings.values()):
        return 1
    complete = all(found and not found.unknown for found in findings.values())
    return 0 if complete or not given.strict else 2


def requirement_files(root: Path = ROOT) -> list[Path]:
    """All that an image or a zip is installed from."""
    return sorted((root / "functions").glob("*/requirements*.txt"))


def audit(path: Path, *, service: str = "pypi") -> Found | None:
    """Ask ``service`` about every pinned version in ``path``; None if it could not be asked."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--requirement", str(path)]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", str(_SECONDS)]
    command += ["--vulnerability-service", service]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):  # it prints its own errors instead
        print(done.stderr.strip().rpartition("\n")[2][:300], file=sys.stderr)
        return None
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    return Found(len(packages), unknown, [line for package in packages for line in _vulnerabilities(package)])


def _vulnerabilities(package: dict[str, Any]) -> Iterator[str]:
    for known in package.get("vulns", ()):
        fixed = ", ".join(known.get("fix_versions", ())) or "no version yet"
        yield f"{package['name']} {package['version']}: {known['id']}, fixed in {fixed}"


def _told(path: Path, found: Found | None) -> Iterator[str]:
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    if found is None:
        yield f"{name}: NOT AUDITED, the database could not be asked"
        return
    yield from (f"{name}: {line}" for line in found.vulnerable)
    known = found.asked - len(found.unknown)
    yield f"{name}: {known} of {found.asked} packages audited, {len(found.vulnerable)} vulnerabilities known"
    if found.unknown:
        yield f"{name}: NOT AUDITED, the database does not know {', '.join(found.unknown)}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.audit", description="Known vulnerabilities.")
    parser.add_argument("files", nargs="*", type=Path, help="requirements with hashes; by default those of functions/")
    parser.add_argument("--service", choices=["pypi", "osv"], default="pypi", help="whose database is asked")
    parser.add_argument("--strict", action="store_true", help="fail where something could not be audited")
    return parser


if __name__ == "__main__":
    sys.exit(main())
