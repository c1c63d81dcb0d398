"""The CDK app: ``cdk deploy --all -c stage=prod -c model=tickets`` runs ``python -m infra.app``.

Synthesis needs no docker, no AWS account and no network.
"""

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks, ServerlessChecks

from infra.settings import Deployment, DeploymentError
from infra.stacks import add_stacks


def build_app(**options: object) -> cdk.App:
    """The app of one deployment, with every rule of cdk-nag's AwsSolutions, Serverless and NIST 800-53 packs to pass.

    Raises DeploymentError if an argument in the context cannot be used.
    """
    app = cdk.App(**options)  # type: ignore[arg-type]
    add_stacks(app, deployment=Deployment.from_context(app.node.get_all_context()))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app), NIST80053R5Checks(app))
    return app


def main() -> int:
    """Synthesize; an unusable argument is one line and exit code 1."""
    try:
        build_app().synth()
    except DeploymentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
