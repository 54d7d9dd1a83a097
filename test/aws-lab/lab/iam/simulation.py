"""SimulatePrincipalPolicy, by the same rules as what is enforced."""

from typing import Any

from moto.core.responses import ActionResult

from .evaluation import decide
from .principals import of_arn


def simulate_principal_policy(self: Any) -> ActionResult:
    """A method of moto's answers to IAM."""
    documents = of_arn(self.current_account, self._get_param("PolicySourceArn"))
    context = {one["ContextKeyName"].lower(): one["ContextKeyValues"][0] for one in self._get_param("ContextEntries", [])}
    results = [
        {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decide(documents, action, resource, context), "MatchedStatements": [], "MissingContextValues": []}
        for action in self._get_param("ActionNames") for resource in self._get_param("ResourceArns", ["*"])
    ]
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})
