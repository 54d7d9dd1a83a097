"""What happens to an instance that is there: modified, restarted, deleted."""

import time
from typing import Any

from moto.rds.exceptions import DBInstanceNotFoundError, DBSnapshotAlreadyExistsError

from ..postgres import roles
from . import backups
from .backend import LabBackend
from .creation import check_password, taken_over
from .events import tell
from .instance import LabInstance
from .refusals import check_groups, check_state, refuse
from .snapshot import LabSnapshot

# Changed without a restart or a wait for the maintenance window.
AT_ONCE = ("deletion_protection", "copy_tags_to_snapshot", "tags")


def find(backend: LabBackend, identifier: str) -> LabInstance:
    """By name or ARN, whatever its state."""
    found: Any = backend.databases.get(identifier.rsplit(":", maxsplit=1)[-1])
    if found is None:
        raise DBInstanceNotFoundError(identifier)
    return found  # type: ignore[no-any-return]


def modify(backend: LabBackend, params: Any) -> LabInstance:
    """ModifyDBInstance. The password changes soon after the answer, whether or not ApplyImmediately is given; so does all the rest here."""
    instance = find(backend, params["DBInstanceIdentifier"])
    check_state(instance, ("available", "storage-full", "incompatible-parameters"))
    check_groups(backend, params, instance.engine_version)
    values = taken_over(params)
    password = params.get("MasterUserPassword")
    if password is not None:
        check_password(password)
        values["master_user_password"] = "****"
    now = {name: value for name, value in values.items() if name in AT_ONCE}
    later = {name: value for name, value in values.items() if name not in AT_ONCE}
    for name, value in now.items():
        setattr(instance, name, value)
    if later:
        instance.pending_modified_values = dict(later)
        backend.lab.begin(f"modify {instance.resource_id}", lambda: _modify(backend, instance, later, password), lambda _: backend.set_status(instance, "available"), instance.gone)
    return instance


def reboot(backend: LabBackend, identifier: str) -> LabInstance:
    """RebootDBInstance: the server restarts, with what its parameter group says now."""
    instance = find(backend, identifier)
    check_state(instance, ("available",))
    instance.status = "rebooting"
    backend.lab.begin(f"reboot {identifier}", lambda: _reboot(backend, instance), lambda _: backend.set_status(instance, "failed"), instance.gone)
    return instance


def delete(backend: LabBackend, params: Any) -> LabInstance:
    """DeleteDBInstance."""
    instance = find(backend, params["DBInstanceIdentifier"])
    if instance.status == "deleting":
        raise refuse("InvalidDBInstanceState", f"Instance {instance.resource_id} is already being deleted.")
    if instance.status == "creating" and backend.lab.settings.refuses_delete_while_creating:
        raise refuse("InvalidDBInstanceState", f"Instance {instance.resource_id} is currently creating.")
    if instance.deletion_protection:
        raise refuse("InvalidParameterCombination", "Cannot delete protected DB Instance, please disable deletion protection and try again.")
    skipped, final = bool(params.get("SkipFinalSnapshot")), params.get("FinalDBSnapshotIdentifier")
    if skipped == bool(final):
        raise refuse("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified, and cannot be given then.")
    snapshot = None
    if final:
        check_state(instance, ("available", "storage-full"))
        if final in backend.database_snapshots:
            raise DBSnapshotAlreadyExistsError(final)
        snapshot = LabSnapshot(backend, instance, final)
        backend.database_snapshots[final] = snapshot
    instance.status = "deleting"
    drops_backups = params.get("DeleteAutomatedBackups")
    if snapshot is None:
        instance.gone.set()
    backend.lab.begin(f"delete {instance.resource_id}", lambda: _delete(backend, instance, snapshot, drops_backups is None or bool(drops_backups)), lambda _: None)
    return instance


def _modify(backend: LabBackend, instance: LabInstance, values: dict[str, Any], password: str | None) -> None:
    settings = backend.lab.settings
    backend.lab.wait(settings.seconds("beforeModify"), time.monotonic(), instance.gone)
    backend.set_status(instance, "modifying")
    began = time.monotonic()
    if password is not None and instance.server is not None:
        with instance.server.admin() as admin:
            roles.set_password(admin, instance.master_username, password)
        tell(backend, instance, "credentials")
    with backend.lab.lock:
        for name, value in values.items():
            if name != "master_user_password":
                setattr(instance, name, value)
        instance.pending_modified_values = {}
    if "backup_retention_period" in values and bool(instance.backup_retention_period) != (instance.archiver is not None):
        if instance.backup_retention_period and instance.server is not None:
            instance.server.keep_archive(True)
            backend.set_status(instance, "backing-up")
            backups.take_automated(backend, instance)
        instance.keep_archiving()
        if not instance.backup_retention_period:
            backups.remove_automated(backend, instance)
    backend.lab.wait(settings.seconds("modify"), began, instance.gone)
    backend.set_status(instance, "available")


def _reboot(backend: LabBackend, instance: LabInstance) -> None:
    began = time.monotonic()
    if instance.server is not None:
        tell(backend, instance, "shut down")
        instance.server.stop()
        instance.server.start(instance.settings())
        tell(backend, instance, "restarted")
    backend.lab.wait(backend.lab.settings.seconds("reboot"), began, instance.gone)
    backend.set_status(instance, "available")


def _delete(backend: LabBackend, instance: LabInstance, snapshot: LabSnapshot | None, drops_backups: bool) -> None:
    began = time.monotonic()
    if snapshot is not None:
        backups.take_final(backend, instance, snapshot)
        instance.gone.set()
    keeps = bool(instance.backup_retention_period) and not drops_backups and bool(backend.bases_of(instance))
    if keeps and instance.archiver is not None:
        # The window of what is kept ends with the instance.
        instance.archiver.archive_now()
    if instance.archiver is not None:
        instance.archiver.stop()
    if instance.server is not None:
        instance.server.destroy()
    # What still makes it ends by itself now; its files are removed only then.
    instance.made.wait(60)
    if instance.server is not None:
        backend.lab.end_cluster(instance.server, keep_archive=keeps)
    left = began + backend.lab.settings.seconds("delete") - time.monotonic()
    if left > 0:
        backend.lab.stopping.wait(left)
    with backend.lab.lock:
        backend.databases.pop(instance.resource_id, None)
        instance.reachable = False
        if keeps:
            backend.retained[instance.dbi_resource_id] = instance
        else:
            backups.remove_automated(backend, instance)
        backend.journal.remember()
    tell(backend, instance, "deleted")
