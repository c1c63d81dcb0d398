import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest

from infra import stacks
from infra.app import build_app
from tests.infra.conftest import ROOT, Assembly, Synthesize, cdk_context

# CDK itself makes a function wait for its role, which the function also refers to.
CFN_LINT_IGNORED = "W3005"


@pytest.mark.parametrize("stage", ["aws", "local"])
def test_cfn_lint_finds_nothing_in_the_templates(stage: str, request: pytest.FixtureRequest) -> None:
    assembly: Assembly = request.getfixturevalue(stage)
    templates = [str(path) for path in assembly.directory.glob("*.template.json")]
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--ignore-checks", CFN_LINT_IGNORED, "--", *templates]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(templates) == 6


def test_every_acknowledged_finding_has_a_reason(aws: Assembly) -> None:
    kind = cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY
    entries = [entry for node in aws.app.node.find_all() for entry in node.node.metadata if entry.type == kind]
    reasons = [reason for entry in entries for reason in entry.data.values()]
    assert len(reasons) >= 5
    assert all(len(reason.split()) >= 8 for reason in reasons)


def test_a_finding_without_a_reason_fails_the_synthesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "acknowledge_predict_api", lambda *_, **__: None)
    app = build_app(context=cdk_context(stage="local"), outdir=str(tmp_path))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = json.loads((tmp_path / "validation-report.json").read_text())
    assert {plugin["pluginName"] for plugin in report["pluginReports"]} == {"AwsSolutions", "Serverless"}


def test_a_stage_s_name_alone_changes_no_resource(synthesize: Synthesize) -> None:
    row = {"memory_mb": 2048, "requests_per_second": 5, "burst": 6, "log_days": 3, "retain": True, "snap_start": True}

    def shape(stage: str) -> list[tuple[str, list[str]]]:
        directory = synthesize(stage=stage, **row).directory
        templates = [json.loads(path.read_text()) for path in directory.glob("*.template.json")]
        resources = [resource for template in templates for resource in template["Resources"].values()]
        return sorted((resource["Type"], sorted(resource.get("Properties", {}))) for resource in resources)

    assert shape("prod") == shape("qa") != []


def test_arguments_reach_the_templates(synthesize: Synthesize) -> None:
    assembly = synthesize(
        stage="qa", memory_mb=2048, reserved_concurrency=4, burst=6, daily_quota=7, snap_start="false"
    ).part("*-api")
    function = assembly.properties("AWS::Lambda::Function")
    assert (function["MemorySize"], function["ReservedConcurrentExecutions"]) == (2048, 4)
    assert "SnapStart" not in function
    plan = assembly.properties("AWS::ApiGateway::UsagePlan")
    assert (plan["Throttle"]["BurstLimit"], plan["Quota"]["Limit"]) == (6, 7)


def test_no_code_asks_which_stage_it_is() -> None:
    names = json.loads((ROOT / "cdk.json").read_text())["context"]["slipway:stages"]
    sources = [path.read_text() for path in (ROOT / "infra").glob("*.py")]
    assert not [name for name in names for text in sources if f'== "{name}"' in text or f'!= "{name}"' in text]


def test_synthesis_needs_no_docker_and_no_account(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/node").symlink_to(node)
    environment = {
        "PATH": str(tmp_path / "bin"),
        "HOME": os.environ["HOME"],
        "CDK_CONTEXT_JSON": json.dumps(cdk_context(stage="prod")),
        "CDK_OUTDIR": str(tmp_path / "out"),
    }
    command = [sys.executable, "-m", "infra.app"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/slipway-prod-demo-api.template.json").exists()


def test_no_template_names_an_account_or_a_region(aws: Assembly) -> None:
    manifest = json.loads((aws.directory / "manifest.json").read_text())
    stacks_of = [a for a in manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"]
    assert {stack["environment"] for stack in stacks_of} == {"aws://unknown-account/unknown-region"}
