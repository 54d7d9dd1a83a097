"""Instances from snapshots and from points in time."""

import os
import secrets
import shutil
from datetime import datetime, timezone
from typing import Any

from moto.rds.exceptions import DBInstanceNotFoundError

from ..postgres import recovery
from ..postgres.cluster import Cluster
from ..postgres.parameters import recoverable
from .backend import LabBackend
from .creation import begin, taken_over
from .instance import LabInstance
from .refusals import check_groups, check_key, check_new_identifier, check_storage, refuse
from .snapshot import LabSnapshot, earliest


def from_snapshot(backend: LabBackend, params: Any) -> LabInstance:
    """RestoreDBInstanceFromDBSnapshot."""
    identifier = params["DBInstanceIdentifier"]
    check_new_identifier(backend, identifier)
    snapshot = backend.find_snapshot(params["DBSnapshotIdentifier"])
    if snapshot.status != "available" or snapshot.backup is None:
        raise refuse("InvalidDBSnapshotState", f"The snapshot {snapshot.resource_id} is not in available state but in {snapshot.status}.")
    check_groups(backend, params, snapshot.engine_version)
    if snapshot.encrypted:
        check_key(backend, snapshot.kms_key_id or "")
    instance = _instance(backend, params, identifier, snapshot.database, snapshot)
    held = backend.lab.backups.hold(snapshot.backup)

    def make(cluster: Cluster) -> None:
        recovery.from_backup(cluster, held, recoverable(instance.settings(), snapshot.server_settings), backend.lab.copier)

    begin(
        backend, instance, "restore", make, restored=("restored from snapshot", snapshot.resource_id), failure=backend.lab.settings.take_failure(),
        done=lambda: backend.lab.backups.release(held),
    )
    return instance


def to_point_in_time(backend: LabBackend, params: Any) -> LabInstance:
    """RestoreDBInstanceToPointInTime, of an instance or of the automated backups that a deleted one left."""
    identifier = params["TargetDBInstanceIdentifier"]
    check_new_identifier(backend, identifier)
    source = _source(backend, params)
    if not source.backup_retention_period:
        raise refuse("PointInTimeRestoreNotEnabled", f"Point in time restore is not enabled for {source.resource_id}: its backup retention period is 0.")
    check_groups(backend, params, source.engine_version)
    target = _target(source, params)
    base = [one for one in backend.bases_of(source) if earliest(one) <= target][-1]
    instance = _instance(backend, params, identifier, source, base)
    held = backend.lab.backups.hold(base.backup)  # type: ignore[arg-type]
    archive = os.path.join(backend.lab.host.folder, "servers", f"from-{secrets.token_hex(6)}")
    recovery.link_archive(source.archive or "", archive)

    def make(cluster: Cluster) -> None:
        recovery.to_time(cluster, held, archive, target, recoverable(instance.settings(), base.server_settings), backend.lab.copier)

    def done() -> None:
        backend.lab.backups.release(held)
        shutil.rmtree(archive, ignore_errors=True)

    begin(backend, instance, "restore", make, restored=("restored to time", source.resource_id, identifier), failure=backend.lab.settings.take_failure(), done=done)
    return instance


def _instance(backend: LabBackend, params: Any, identifier: str, source: Any, snapshot: LabSnapshot) -> LabInstance:
    """What a restored instance has of its source and what it has not: see README.md."""
    check_storage(params, snapshot.allocated_storage)
    values = {
        "db_instance_class": source.db_instance_class, "port": source.port, "storage_type": "io1" if params.get("Iops") else "gp3",
        "allocated_storage": snapshot.allocated_storage, "backup_retention_period": snapshot.backup_retention_period,
        "auto_minor_version_upgrade": source.auto_minor_version_upgrade,
        **taken_over(params),
    }
    if values["allocated_storage"] < snapshot.allocated_storage:
        raise refuse("InvalidParameterValue", "The allocated storage size can't be less than the source snapshot or backup size.")
    return LabInstance(
        backend, db_instance_identifier=identifier, engine_version=snapshot.engine_version, master_username=snapshot.master_username,
        db_name=source.db_name, storage_encrypted=snapshot.encrypted, kms_key_id=snapshot.kms_key_id, **values,
    )


def _source(backend: LabBackend, params: Any) -> Any:
    name, resource, backup = (params.get(one) for one in ("SourceDBInstanceIdentifier", "SourceDbiResourceId", "SourceDBInstanceAutomatedBackupsArn"))
    if name:
        found = backend.databases.get(name.rsplit(":", maxsplit=1)[-1])
        if found is None:
            raise DBInstanceNotFoundError(name)
        return found
    for one in [*backend.databases.values(), *backend.retained.values()]:
        if one.dbi_resource_id == resource or backup and backup.endswith(f":auto-backup:{automated_backup_id(one)}"):
            return one
    raise refuse("DBInstanceAutomatedBackupNotFound", f"Automated backup {resource or backup} not found.")


def automated_backup_id(instance: Any) -> str:
    """Last part of the ARN of its automated backups."""
    return f"ab-{instance.dbi_resource_id[3:].lower()}"


def _target(source: Any, params: Any) -> datetime:
    given, latest = params.get("RestoreTime"), params.get("UseLatestRestorableTime")
    if bool(given) == bool(latest):
        raise refuse("InvalidParameterCombination", "Either RestoreTime or UseLatestRestorableTime must be specified, and not both.")
    until = source.latest_restorable_time
    if until is None:
        raise refuse("InvalidRestoreFault", f"There is no backup of {source.resource_id} yet that could be restored.")
    target: datetime = until if latest else given.astimezone(timezone.utc).replace(tzinfo=None, microsecond=0) if given.tzinfo else given.replace(microsecond=0)
    if target > until:
        raise refuse("InvalidParameterValue", f"The specified instance cannot be restored to a time later than {until.isoformat()}Z.")
    first = earliest(source.backend.bases_of(source)[0])
    if target < first:
        raise refuse("InvalidParameterValue", f"The specified instance cannot be restored to a time earlier than {first.isoformat()}Z.")
    return target
