"""A bill of materials, as CycloneDX 1.6 in JSON, of what pip has just installed, for the image that it is in.

    pip install --report report.json --require-hashes --requirement requirements.txt …
    python3 sbom.py slipway-predict report.json … > sbom.cdx.json

pip's report has the SHA-256 of the very wheels that it has unpacked, which nobody can tell of an image later. Runs in
images while they are built, where there is nothing but Python: hence no library. The same packages give the same bytes.
"""

import json
import re
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
_SPDX = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")  # without brackets, which we do not check
_LICENSE_CHARACTERS = 100  # beyond it is no name, but the licence's text


def bill(name: str, reports: Iterable[Json]) -> Json:
    """The document for an image called ``name``, of pip's reports of everything installed into it."""
    listed = list(reports)
    components = sorted((_component(item) for report in listed for item in report["install"]), key=lambda c: c["purl"])
    about: Json = {
        "lifecycles": [{"phase": "build"}],
        "component": {"type": "container", "bom-ref": name, "name": name},
        "properties": _environment(listed),
    }
    references = [component["bom-ref"] for component in components]
    document: Json = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": about,
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": references}, *({"ref": ref} for ref in references)],
    }
    content = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, content).urn}


def _component(item: Json) -> Json:
    """One wheel. Not where it came from: an index's address may be one's own."""
    metadata = item["metadata"]
    name = re.sub(r"[-_.]+", "-", metadata["name"]).lower()
    purl = f"pkg:pypi/{name}@{metadata['version']}"
    sha256 = item["download_info"]["archive_info"]["hashes"]["sha256"]
    found: Json = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": metadata["version"],
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }
    return {**found, "licenses": licenses} if (licenses := _licenses(metadata)) else found


def _licenses(metadata: Json) -> list[Json]:
    """As the package's metadata names them, newest way first; empty if it does not."""
    expression = metadata.get("license_expression", "")
    if _SPDX.fullmatch(expression):
        return [{"expression": expression}]
    classified = [c.rpartition(" :: ")[2] for c in metadata.get("classifier", []) if c.startswith("License :: ")]
    lines = [line for line in (expression or metadata.get("license") or "").splitlines() if line.strip()]
    named = lines if len(lines) == 1 and len(lines[0]) <= _LICENSE_CHARACTERS else []
    return [{"license": {"name": name.strip()}} for name in named or classified]


def _environment(reports: Iterable[Json]) -> list[Json]:
    """The Python and machine that the wheels were chosen for."""
    wanted = ("python_full_version", "sys_platform", "platform_machine")
    found = {(key, report["environment"][key]) for report in reports for key in wanted if key in report["environment"]}
    return [{"name": f"slipway:{key}", "value": value} for key, value in sorted(found)]


if __name__ == "__main__":
    name, *paths = sys.argv[1:]
    json.dump(bill(name, (json.loads(Path(path).read_text("utf-8")) for path in paths)), sys.stdout, indent=1)
    sys.stdout.write("\n")
