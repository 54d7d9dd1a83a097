"""Which services the lab has. Those that are more than moto have a package of their own beside this file."""

from typing import TYPE_CHECKING, Any, Callable, Protocol

from . import iam, rds

if TYPE_CHECKING:
    from .core import Lab


class Service(Protocol):
    """What a package of a service offers to the lab. The second half (EC2 that boots, load balancers, DNS) adds its own here."""

    def install(self, lab: "Lab") -> None:
        """Puts itself in moto's place, once, before the first request."""

    def routes(self, lab: "Lab") -> dict[str, Callable[[dict[str, Any]], Any]]:
        """What its control API offers below /_lab/<service>/."""


OWN: dict[str, Service] = {"iam": iam, "rds": rds}  # type: ignore[dict-item]

# As moto has them: state and wire format, nothing that takes time.
OF_MOTO = ("ec2", "kms", "sns", "sqs", "sts")


def known(service: str) -> bool:
    """Whether a request to it is answered at all."""
    return service in OWN or service in OF_MOTO
