"""RDS of one account in one region."""

from typing import TYPE_CHECKING, Any

from moto.core.utils import utcnow
from moto.rds import urls
from moto.rds.models import RDSBackend, rds_backends

from .instance import LabInstance
from .journal import Journal
from .refusals import snapshot_not_found
from .snapshot import LabSnapshot

if TYPE_CHECKING:
    from ..core import Lab


class LabBackend(RDSBackend):
    """moto's state, with what the lab knows besides."""

    # Set before the first backend is made: moto makes them itself.
    lab: "Lab"

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        # Deleted, but their automated backups were to be kept: by resource id.
        self.retained: dict[str, LabInstance] = {}
        self.journal = Journal(self)

    @property
    def _url_module(self) -> Any:
        """moto looks beside the file of the class."""
        return urls

    def bases_of(self, instance: Any) -> list[LabSnapshot]:
        """Automated snapshots of that very instance that can be restored, oldest first."""
        with self.lab.lock:
            found = [
                one for one in self.database_snapshots.values()
                if one.snapshot_type == "automated" and one.dbi_resource_id == instance.dbi_resource_id and one.status == "available"
            ]
        return sorted(found, key=lambda one: one.backup.taken)  # type: ignore[attr-defined,return-value]

    def find_snapshot(self, identifier: str, other_regions: bool = False) -> LabSnapshot:
        """By name, or by ARN also those that another account shares.

        :raises RDSClientError: DBSnapshotNotFound, also where it is not shared with this account
        """
        region, account, name = self.region_name, self.account_id, identifier
        if identifier.startswith("arn:"):
            _, _, _, region, account, _, name = identifier.split(":", 6)
        if region != self.region_name and not other_regions:
            raise snapshot_not_found(identifier)
        found = rds_backends[account][region].database_snapshots.get(name)
        if found is None or not self.may_see(found):
            raise snapshot_not_found(identifier)
        return found  # type: ignore[return-value]

    def may_see(self, snapshot: Any) -> bool:
        """It is this account's own, or shared with it or with everybody."""
        shared = snapshot.attributes["restore"]
        return snapshot.account_id == self.account_id or self.account_id in shared or "all" in shared

    def visible_snapshots(self) -> list[LabSnapshot]:
        """All of this region that this account may see."""
        found: list[Any] = list(self.database_snapshots.values())
        for account, regions in list(rds_backends.items()):
            if account != self.account_id and self.region_name in regions:
                found += [one for one in regions[self.region_name].database_snapshots.values() if self.may_see(one)]
        return found

    def set_status(self, resource: Any, status: str) -> None:
        """A new state, which later stale reads will know the time of."""
        with self.lab.lock:
            resource.status = status
            self.journal.remember()

    def automated_name(self, instance: LabInstance) -> str:
        """As RDS names it; counted on when there are two in a minute."""
        name = f"rds:{instance.resource_id}-{utcnow().strftime('%Y-%m-%d-%H-%M')}"
        taken = [one for one in self.database_snapshots if one == name or one.startswith(f"{name}-")]
        return name if not taken else f"{name}-{len(taken) + 1}"
