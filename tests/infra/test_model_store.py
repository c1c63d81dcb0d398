import pytest

from tests.infra.conftest import Assembly


@pytest.fixture
def aws(aws: Assembly) -> Assembly:
    return aws.part("*-store")


@pytest.fixture
def local(local: Assembly) -> Assembly:
    return local.part("*-store")


def test_the_bucket_is_private_encrypted_and_versioned(aws: Assembly) -> None:
    bucket = aws.properties("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_without_tls_nobody_may_do_anything(aws: Assembly) -> None:
    statements = aws.properties("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    refused = [s for s in statements if s["Condition"].get("Bool") == {"aws:SecureTransport": "false"}]
    assert [(s["Effect"], s["Action"], s["Principal"]) for s in refused] == [("Deny", "s3:*", {"AWS": "*"})]
    assert any("s3:TlsVersion" in str(s["Condition"]) for s in statements)
    assert all(s["Effect"] == "Deny" for s in statements)


def test_leftovers_expire_and_current_models_do_not(aws: Assembly) -> None:
    assert aws.properties("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"] == [
        {
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "Status": "Enabled",
        },
        {"ExpirationInDays": 30, "Prefix": "bakes/", "Status": "Enabled"},
        {"ExpirationInDays": 90, "Prefix": "drift/", "Status": "Enabled"},
    ]


def test_models_outlive_the_stack_unless_the_stage_says_otherwise(aws: Assembly, local: Assembly) -> None:
    assert [bucket["DeletionPolicy"] for bucket in aws.resources("AWS::S3::Bucket")] == ["Retain"]
    assert [bucket["DeletionPolicy"] for bucket in local.resources("AWS::S3::Bucket")] == ["Delete"]


def test_no_resource_is_named_so_that_stages_and_models_live_side_by_side(aws: Assembly) -> None:
    everything = aws.part("*")
    assert "BucketName" not in aws.properties("AWS::S3::Bucket")
    assert not any(
        "FunctionName" in function["Properties"] for function in everything.resources("AWS::Lambda::Function")
    )
