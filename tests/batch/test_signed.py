"""The batch functions trust keys as the API does: nothing is scored by a version that is not signed."""

import json
from pathlib import Path
from typing import Any

import pytest

from model_build.signing import make_key
from slipway.errors import ArtifactError
from slipway.store import Store
from tests.batch.conftest import Told, uploaded


def test_a_shard_is_scored_by_a_signed_version_only(
    function: Any,
    s3: Any,
    told: Told,
    version: str,
    store: Store,
    tiny_artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = make_key(tmp_path / "key.pem")
    monkeypatch.setenv("SLIPWAY_TRUSTED_KEYS", key.fingerprint)
    function("start")(uploaded(s3, "inbox/demo/films.csv", b"text\na lovely film\n"))
    ((_, execution),) = told.executions
    planned = function("plan")(execution)
    (line,) = s3.get_object(Bucket="slipway-data", Key=planned["shards"])["Body"].read().splitlines()
    shard = {"folder": planned["folder"], "shard": json.loads(line)}
    with pytest.raises(ArtifactError, match="is not signed"):
        function("score")(shard)
    store.publish(tiny_artifact, sign=key.manifest_signature)
    assert function("score")(shard)["final"]
