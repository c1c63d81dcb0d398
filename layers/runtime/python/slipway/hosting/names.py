"""The names of what is made for a version: ``<prefix>-<version>-<d or r><6 hex digits>``. No I/O.

In lower case, since SageMaker's ARNs are, and a policy is compared with them letter by letter. ``d`` is made by a
deployment, ``r`` by a roll. The digits are a digest of the definition, so that a version in a new image is another.
"""

import hashlib
import json
import re

_MADE = re.compile(r"(?P<prefix>.+)-(?P<version>[0-9]{8}t[0-9]{6}z-[0-9a-f]{12})-(?P<by>[dr])[0-9a-f]{6}")


def rolled_name(prefix: str, version: str, definition: object) -> str:
    """The name of what a roll makes for ``version``: the same definition gives the same name.

    >>> rolled_name("slipway-prod-tickets", "20261126T101112Z-0123456789ab", {})
    'slipway-prod-tickets-20261126t101112z-0123456789ab-r44136f'
    """
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
    return f"{prefix}-{version.lower()}-r{digest[:6]}"


def version_in(name: str) -> str:
    """The version, in lower case, or an empty string if the name is none of these."""
    match = _MADE.fullmatch(name)
    return match["version"] if match else ""


def is_rolled(prefix: str, name: str) -> bool:
    """Whether a roll of this deployment made it: what a deployment made is CloudFormation's to delete."""
    match = _MADE.fullmatch(name)
    return match is not None and match["prefix"] == prefix and match["by"] == "r"
