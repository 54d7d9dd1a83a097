"""RDS: moto's wire format and state, real servers and real time."""

from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from ..core import Lab


def install(lab: "Lab") -> None:
    """From now on moto's RDS is ours."""
    from moto.rds import urls
    from moto.rds.models import rds_backends

    from .backend import LabBackend
    from .responses import LabResponse

    LabBackend.lab = lab
    rds_backends.backend = LabBackend
    urls.url_paths["{0}/$"] = LabResponse.dispatch


def routes(lab: "Lab") -> dict[str, Callable[[dict[str, Any]], Any]]:
    """What a test steers besides the calls of AWS."""
    from .steering import routes as steering

    return steering(lab)
