"""IAM: moto's state, and policies that are heeded when a test says so."""

from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from ..core import Lab


def install(lab: "Lab") -> None:
    """moto has no simulation of policies."""
    from moto.iam.responses import IamResponse

    from .simulation import simulate_principal_policy

    IamResponse.simulate_principal_policy = simulate_principal_policy  # type: ignore[attr-defined]


def routes(lab: "Lab") -> dict[str, Callable[[dict[str, Any]], Any]]:
    """Whether policies are heeded."""

    def enforce(given: dict[str, Any]) -> Any:
        lab.settings.enforces_policies = bool(given["enforced"])
        return {}

    return {"enforce": enforce}
