"""What the templates say of signatures: which keys are trusted, and who may use the stage's own. Of secrets: none."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Deployment, DeploymentError
from tests.infra.conftest import Assembly, Json, Synthesize
from tests.infra.test_spark import synthesize as synthesize_spark

KEYS = f"{'a' * 64},{'b' * 64}"
VARIABLE = "SLIPWAY_TRUSTED_KEYS"
SECRET = re.compile("KEY|SECRET|TOKEN|PASSW|CREDENTIAL|PRIVATE", re.IGNORECASE)
NO_SECRETS = {  # names that sound like secrets
    "SLIPWAY_TRUSTED_KEYS": "fingerprints of public keys",
    "SLIPWAY_MAX_REQUEST_TOKENS": "a number of words",
    "SLIPWAY_GPU_TOKENS": "a number of words",
    "SLIPWAY_BATCH_TOKENS": "a number of words",
    "SLIPWAY_QUEUE_TOKENS": "a number of words",
    "TOKENIZERS_PARALLELISM": "a switch",
}
LOOKS_SECRET = re.compile(r"AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|-----BEGIN|\{\{resolve:secretsmanager|eyJ[\w-]{20}")


@pytest.fixture(scope="module")
def signed(synthesize: Synthesize) -> Assembly:
    """All stacks there are, with keys that are trusted and a key of the stage's own."""
    return synthesize(
        stage="prod", model="tickets", trusted_keys=KEYS, signing_key=True, gpu="scale-to-zero", gpu_async=True
    )


def environments(assembly: Assembly) -> dict[str, dict[str, Any]]:
    """Of every function and container, by a name for people."""
    functions = {
        f"{function['Properties'].get('Description', '')} {at}": function["Properties"]["Environment"]["Variables"]
        for at, function in enumerate(assembly.resources("AWS::Lambda::Function"))
        if "Environment" in function["Properties"]
    }
    models = {
        f"model {at}": model["Properties"]["PrimaryContainer"]["Environment"]
        for at, model in enumerate(assembly.resources("AWS::SageMaker::Model"))
    }
    return functions | models


def signing_keys(assembly: Assembly) -> list[Json]:
    return [key for key in assembly.resources("AWS::KMS::Key") if key["Properties"].get("KeyUsage") == "SIGN_VERIFY"]


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    return [text for part in value for text in strings(part)] if isinstance(value, list) else [str(value)]


def test_everything_that_reads_a_version_trusts_the_keys(signed: Assembly) -> None:
    told = {name: env.get(VARIABLE) for name, env in environments(signed).items() if "SLIPWAY_MODEL_BUCKET" in env}
    told |= {name: env.get(VARIABLE) for name, env in environments(signed).items() if name.startswith("model")}
    pulse = {name for name in told if name.startswith("Counts the requests")}  # of the API: it reads no version
    assert len(pulse) == 1
    assert len(told) >= 9
    assert {value for name, value in told.items() if name not in pulse} == {KEYS}


def test_a_spark_job_is_told_the_keys(tmp_path: Path) -> None:
    assembly = synthesize_spark(tmp_path, trusted_keys=KEYS)
    request = json.dumps(assembly.properties("AWS::SSM::Parameter")["Value"]).replace("\\", "")
    assert f'"--trusted-keys","{KEYS}"' in request


def test_without_the_argument_nothing_is_demanded_and_there_is_no_key(aws: Assembly) -> None:
    assert {env.get(VARIABLE, "") for env in environments(aws).values()} == {""}
    assert signing_keys(aws) == []


def test_the_stage_s_key_signs_and_does_nothing_else(signed: Assembly) -> None:
    (key,) = signing_keys(signed)
    assert key["Properties"]["KeySpec"] == "RSA_3072"
    names = [alias["Properties"]["AliasName"] for alias in signed.resources("AWS::KMS::Alias")]
    assert "alias/slipway-prod-signing" in names
    assert key["DeletionPolicy"] == "Retain", "what it has signed is still served"
    assert "SigningKey" in signed.template("slipway-prod-store")["Outputs"]


def test_nothing_that_serves_may_sign(signed: Assembly) -> None:
    for kind in ("AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
        for policy in signed.resources(kind):
            assert not [text for text in strings(policy) if text in ("kms:*", "*:*") or text.startswith("kms:Sign")]


@pytest.mark.parametrize("value", ["x", "A" * 64, "a" * 63, f"{'a' * 64} {'b' * 64}", ",".join(["a" * 64] * 9)])
def test_keys_that_are_no_fingerprints_are_refused(value: str) -> None:
    with pytest.raises(DeploymentError, match=r"trusted_keys=.*use at most 8 fingerprints"):
        Deployment(trusted_keys=value)


# --- secrets


@pytest.mark.parametrize("which", ["aws", "local", "signed"])
def test_no_environment_holds_a_secret(which: str, request: pytest.FixtureRequest) -> None:
    assembly: Assembly = request.getfixturevalue(which)
    names = {name for env in environments(assembly).values() for name in env}
    assert {name for name in names if SECRET.search(name)} <= NO_SECRETS.keys()
    assert [text for env in environments(assembly).values() for text in strings(env) if LOOKS_SECRET.search(text)] == []


@pytest.mark.parametrize("which", ["aws", "local", "signed"])
def test_no_template_holds_or_tells_a_secret(which: str, request: pytest.FixtureRequest) -> None:
    assembly: Assembly = request.getfixturevalue(which)
    for key in assembly.resources("AWS::ApiGateway::ApiKey"):
        assert "Value" not in key["Properties"], "API Gateway makes it, and only who may read keys sees it"
    for path in assembly.directory.glob("*.template.json"):
        template: Json = assembly.template(path.name.removesuffix(".template.json"))
        assert [text for text in strings(template) if LOOKS_SECRET.search(text)] == []
        outputs = template.get("Outputs", {})
        assert {name for name in outputs if SECRET.search(name)} <= {"ApiKeyId", "SigningKey"}, "identifiers, no values"
        secret = [name for name, given in template.get("Parameters", {}).items() if SECRET.search(name)]
        assert secret == []
