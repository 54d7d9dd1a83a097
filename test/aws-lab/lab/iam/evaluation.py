"""What policies say of an action: identity policies alone, with the conditions that ours have."""

import json
import re
from typing import Any, Callable, Iterable

ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY = "allowed", "explicitDeny", "implicitDeny"


def decide(documents: Iterable[str], action: str, resource: str, context: dict[str, str]) -> str:
    """As SimulatePrincipalPolicy words it.

    :raises NotImplementedError: for what the lab does not understand in a statement about this action
    """
    decision = IMPLICIT_DENY
    for document in documents:
        for statement in _list(json.loads(document)["Statement"]):
            if not _concerns(statement, action, resource, context):
                continue
            if statement["Effect"] == "Deny":
                return EXPLICIT_DENY
            decision = ALLOWED
    return decision


def _concerns(statement: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
    if unknown:
        raise NotImplementedError(f"the lab understands no {', '.join(sorted(unknown))} in a policy")
    if not any(like(pattern.lower(), action.lower()) for pattern in _list(statement["Action"])):
        return False
    if not any(like(pattern, resource) for pattern in _list(statement["Resource"])):
        return False
    return all(
        _holds(operator, _list(wanted), context.get(key.lower()))
        for operator, keys in statement.get("Condition", {}).items() for key, wanted in keys.items()
    )


def _holds(operator: str, wanted: list[str], found: str | None) -> bool:
    """A key that a request has not fulfils no condition."""
    if operator not in _OPERATORS:
        raise NotImplementedError(f"the lab understands no condition {operator}")
    return found is not None and any(_OPERATORS[operator](str(one), found) for one in wanted)


def like(pattern: str, value: str) -> bool:
    """`*` is any text, `?` one character; all else is itself."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), value, re.DOTALL) is not None


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringLike": like,
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
