"""Keys, TLS and what the buckets refuse."""

import json
from typing import Any

import pytest

from infra.predict_api import TLS_POLICY
from tests.infra.conftest import Assembly, Json, Synthesize

ARN = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BUCKETS = ("slipway-prod-store", "slipway-prod-data")


@pytest.fixture(scope="module")
def own(synthesize: Synthesize) -> Assembly:
    return synthesize(stage="prod", model="tickets", kms_key="own", gpu="scale-to-zero")


LEDGER = "LedgerIsAppendOnly"


def refusals(assembly: Assembly, stack: str) -> dict[str, Json]:
    policy = assembly.part(stack).properties("AWS::S3::BucketPolicy")
    statements = [s for s in policy["PolicyDocument"]["Statement"] if s.get("Sid", LEDGER) != LEDGER]
    assert all((s["Effect"], s["Action"], s["Principal"]) == ("Deny", "s3:PutObject", {"AWS": "*"}) for s in statements)
    assert all(json.dumps(s["Resource"]).endswith('"/*"]]}') for s in statements)
    return {statement["Sid"]: statement["Condition"] for statement in statements}


def is_refused(conditions: dict[str, Json], headers: dict[str, str]) -> bool:
    """What S3 does with a put: all operators of a statement must hold, and an absent header differs from everything."""

    def holds(operator: str, key: str, value: Any) -> bool:
        given = headers.get(key.removeprefix("s3:"))
        return (given is None) == (value == "true") if operator == "Null" else given != value

    return any(
        all(holds(operator, key, value) for operator, keys in condition.items() for key, value in keys.items())
        for condition in conditions.values()
    )


SSE = "x-amz-server-side-encryption"


@pytest.mark.parametrize("stack", BUCKETS)
@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),  # a plain `aws s3 cp`, and the upload to an address that the API hands out
        ({SSE: "aws:kms"}, False),
        ({SSE: "AES256"}, True),
        ({SSE: "aws:kms:dsse"}, True),
        ({SSE: "aws:kms", f"{SSE}-aws-kms-key-id": "arn:aws:kms:eu-central-1:999999999999:key/theirs"}, True),
        ({f"{SSE}-customer-algorithm": "AES256"}, True),
    ],
)
def test_a_put_is_refused_only_if_it_asks_for_another_encryption(
    aws: Assembly, stack: str, headers: dict[str, str], refused: bool
) -> None:
    assert is_refused(refusals(aws, stack), headers) is refused


def test_an_entry_of_a_ledger_is_not_replaced_whoever_may_write(aws: Assembly) -> None:
    """S3 evaluates If-None-Match; the policy sees to it that there is one."""
    policy = aws.part("slipway-prod-store").properties("AWS::S3::BucketPolicy")["PolicyDocument"]
    (statement,) = [s for s in policy["Statement"] if s.get("Sid") == LEDGER]
    assert (statement["Effect"], statement["Action"], statement["Principal"]) == (
        "Deny", "s3:PutObject", {"AWS": "*"},
    )  # fmt: skip
    assert json.dumps(statement["Resource"]).endswith('"/models/*/ledger/*"]]}')
    assert statement["Condition"] == {"Null": {"s3:if-none-match": "true"}}


@pytest.mark.parametrize("stack", BUCKETS)
def test_no_bucket_speaks_http_or_an_old_tls(aws: Assembly, stack: str) -> None:
    statements = aws.part(stack).properties("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    denied = [s["Condition"] for s in statements if s["Effect"] == "Deny" and s["Action"] == "s3:*"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in denied
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in denied


def test_the_api_takes_tls_1_2_with_forward_secrecy_and_better(aws: Assembly) -> None:
    api = aws.part("*-api").properties("AWS::ApiGateway::RestApi")
    assert (api["SecurityPolicy"], api["EndpointAccessMode"]) == (TLS_POLICY, "STRICT")
    assert "TLS13_1_2" in TLS_POLICY


def test_a_domain_of_one_s_own_replaces_api_gateway_s(synthesize: Synthesize) -> None:
    certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/abc"
    assembly = synthesize(domain_name="classify.example.com", certificate_arn=certificate).part("*-api")
    name = assembly.properties("AWS::ApiGateway::DomainName")
    assert (name["DomainName"], name["SecurityPolicy"]) == ("classify.example.com", "TLS_1_2")
    assert name["RegionalCertificateArn"] == certificate
    assert assembly.properties("AWS::ApiGateway::RestApi")["DisableExecuteApiEndpoint"] is True
    outputs = assembly.template("slipway-dev-demo-api")["Outputs"]
    assert "DomainAlias" in outputs
    assert "CustomDomain" in json.dumps(outputs["ApiUrl"])


def test_a_key_of_the_stage_s_own_turns_and_outlives_it(own: Assembly) -> None:
    (key,) = own.resources("AWS::KMS::Key")
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["DeletionPolicy"] == "Retain"
    assert own.part("slipway-prod-store").resources("AWS::KMS::Key") == [key]


@pytest.mark.parametrize(
    ("kind", "path", "several"),
    [
        ("AWS::S3::Bucket", "BucketEncryption", 2),
        ("AWS::Logs::LogGroup", "KmsKeyId", 12),
        ("AWS::SQS::Queue", "KmsMasterKeyId", 3),
        ("AWS::Lambda::Function", "KmsKeyArn", 9),
    ],
)
def test_the_key_encrypts_all_that_is_kept(own: Assembly, kind: str, path: str, several: int) -> None:
    found = [json.dumps(resource["Properties"][path]) for resource in own.resources(kind)]
    assert len(found) >= several
    assert all("Key" in value for value in found)


def test_a_put_may_name_the_stage_s_key_and_no_other(own: Assembly) -> None:
    for stack in BUCKETS:
        another = refusals(own, stack)["AnotherKey"]
        assert another["Null"] == {f"s3:{SSE}-aws-kms-key-id": "false"}
        assert "Key" in json.dumps(another["StringNotEquals"])


def test_services_may_use_the_key_for_this_account_s_things_only(own: Assembly) -> None:
    statements = own.properties("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    services = [s for s in statements if "Service" in s["Principal"]]
    assert len(services) == 2
    assert all("Condition" in statement for statement in services)
    assert not [a for s in services for a in s["Action"] if "*" in a]


def test_a_key_of_the_team_s_is_used_as_it_is(synthesize: Synthesize) -> None:
    assembly = synthesize(kms_key=ARN)
    assert assembly.resources("AWS::KMS::Key") == []
    assert {queue["Properties"]["KmsMasterKeyId"] for queue in assembly.resources("AWS::SQS::Queue")} == {ARN}


def test_without_the_argument_nothing_costs_a_key(aws: Assembly) -> None:
    assert aws.resources("AWS::KMS::Key") == []
    assert "KmsKeyId" not in aws.resources("AWS::Logs::LogGroup")[0]["Properties"]
