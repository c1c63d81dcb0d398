"""A web ACL before the API: a rate for each address, AWS's list of bad addresses, and its rules for requests.

The rules that look into bodies only count. A body is what people wrote: a ticket may quote a script, a path or an
exploit, which is what it is about and no attack on anything here, where no body is ever run, rendered or looked up.
For the same reason there are no rules about SQL. The limits of a body are the function's own: 4.4 MB and not 8 KB.
"""

from dataclasses import replace

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from infra.log_groups import log_group
from infra.settings import Deployment

_Acl = waf.CfnWebACL
_WINDOW = 300  # seconds
_LEAST = 10  # requests in a window that a rule can ask for
# Rules of bodies, by their groups. What else a group has refuses requests.
COUNTED = {
    "AWSManagedRulesCommonRuleSet": (
        "SizeRestrictions_BODY",
        "CrossSiteScripting_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "EC2MetaDataSSRF_BODY",
        "NoUserAgent_HEADER",  # scripts that say nothing of themselves are callers like others: they have a key
    ),
    "AWSManagedRulesKnownBadInputsRuleSet": ("Log4JRCE_BODY", "JavaDeserializationRCE_BODY", "ReactJSRCE_BODY"),
    "AWSManagedRulesAmazonIpReputationList": (),
}
SECRET_HEADERS = ("x-api-key", "authorization", "x-amz-security-token")


class WebAcl(Construct):
    """``acl``, in front of a stage, and the ``logs`` of what it counted or refused: no bodies, no keys, no tokens."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment, stage: apigateway.Stage) -> None:
        super().__init__(scope, construct_id)
        groups = [_managed(priority, name) for priority, name in enumerate(COUNTED, start=1)]
        self.acl = _Acl(
            self,
            "Acl",
            scope="REGIONAL",
            default_action=_Acl.DefaultActionProperty(allow={}),
            visibility_config=_seen_as("WebAcl"),
            rules=[_rate(deployment.requests_per_second), *groups],
        )
        waf.CfnWebACLAssociation(self, "Association", resource_arn=stage.stage_arn, web_acl_arn=self.acl.attr_arn)
        self.logs = self._logs(deployment)

    def _logs(self, deployment: Deployment) -> logs.LogGroup:
        """A group that goes with the stack: its name is given, and one that stayed would stop the next deployment."""
        name = f"aws-waf-logs-slipway-{deployment.stage}-{deployment.model}"  # WAF takes no other beginning
        group = log_group(self, "Logs", deployment=replace(deployment, retain=False), name=name)
        # What a rule only counts is let through in the end: to drop what was allowed would drop it, too.
        told = [{"ActionCondition": {"Action": action}} for action in ("BLOCK", "COUNT", "EXCLUDED_AS_COUNT")]
        kept = {"Behavior": "KEEP", "Conditions": told, "Requirement": "MEETS_ANY"}
        waf.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.acl.attr_arn,
            log_destination_configs=[group.log_group_arn],
            logging_filter={"DefaultBehavior": "DROP", "Filters": [kept]},
            redacted_fields=[
                *({"singleHeader": {"Name": name}} for name in SECRET_HEADERS),
                {"queryString": {}},
            ],
        )
        return group


def _rate(requests_per_second: float) -> waf.CfnWebACL.RuleProperty:
    """Who alone asks for more than the whole stage may is no caller."""
    limit = max(_LEAST, round(requests_per_second * _WINDOW))
    statement = _Acl.RateBasedStatementProperty(limit=limit, aggregate_key_type="IP", evaluation_window_sec=_WINDOW)
    return _Acl.RuleProperty(
        name="Rate",
        priority=0,
        action=_Acl.RuleActionProperty(block={}),
        statement=_Acl.StatementProperty(rate_based_statement=statement),
        visibility_config=_seen_as("Rate"),
    )


def _managed(priority: int, name: str) -> waf.CfnWebACL.RuleProperty:
    counted = [
        _Acl.RuleActionOverrideProperty(name=rule, action_to_use=_Acl.RuleActionProperty(count={}))
        for rule in COUNTED[name]
    ]
    group = _Acl.ManagedRuleGroupStatementProperty(vendor_name="AWS", name=name, rule_action_overrides=counted or None)
    return _Acl.RuleProperty(
        name=name,
        priority=priority,
        override_action=_Acl.OverrideActionProperty(none={}),
        statement=_Acl.StatementProperty(managed_rule_group_statement=group),
        visibility_config=_seen_as(name),
    )


def _seen_as(metric: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    """Counted, but not sampled: a sample shows headers, and with them keys."""
    return _Acl.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=metric, sampled_requests_enabled=False
    )
