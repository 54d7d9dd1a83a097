"""Refuses what no policy allows, as AWS does."""

from typing import TYPE_CHECKING, Any

from ..named_call import NamedCall
from .demands import of_call
from .evaluation import ALLOWED, EXPLICIT_DENY, decide
from .principals import asking

if TYPE_CHECKING:
    from ..core import Lab

# Nobody can be kept from it.
ALWAYS = ("sts:GetCallerIdentity",)


def refusal(lab: "Lab", asked: NamedCall, environ: dict[str, Any]) -> tuple[int, str, str] | None:
    """Status, code and message; None where the call may pass."""
    if not lab.settings.enforces_policies or f"{asked.service}:{asked.action}" in ALWAYS:
        return None
    with lab.lock:
        principal = asking(asked.access_key)
        if principal is None:
            return None
        for demand in of_call(asked, environ):
            decision = decide(principal.documents, demand.action, demand.resource, demand.context)
            if decision != ALLOWED:
                why = "with an explicit deny in an identity-based policy" if decision == EXPLICIT_DENY else f"because no identity-based policy allows the {demand.action} action"
                return _answer(asked, demand.action, f"User: {principal.arn} is not authorized to perform: {demand.action} on resource: {demand.resource} {why}")
    return None


def _answer(asked: NamedCall, action: str, message: str) -> tuple[int, str, str]:
    if asked.service == "rds" and action.startswith("kms:"):
        return 400, "KMSKeyNotAccessibleFault", "The specified KMS key does not exist, is not enabled or you do not have permissions to access it."
    if asked.service == "ec2":
        return 403, "UnauthorizedOperation", f"You are not authorized to perform this operation. {message}"
    return (400, "AccessDeniedException", message) if asked.json_protocol else (403, "AccessDenied", message)
