"""Snapshots: taken, copied, deleted."""

import time
from typing import Any

from moto.core.utils import utcnow
from moto.rds.exceptions import DBInstanceNotFoundError, DBSnapshotAlreadyExistsError

from .backend import LabBackend
from .events import tell
from .instance import LabInstance
from .refusals import check_key, check_state, refuse, snapshot_not_found
from .snapshot import LabSnapshot


def take_automated(backend: LabBackend, instance: LabInstance) -> LabSnapshot:
    """Takes an automated snapshot now and answers it when it is available. The instance is `backing-up` meanwhile."""
    with backend.lab.lock:
        snapshot = LabSnapshot(backend, instance, backend.automated_name(instance), snapshot_type="automated")
        backend.database_snapshots[snapshot.resource_id] = snapshot
    began = time.monotonic()
    tell(backend, instance, "backing up")
    tell(backend, snapshot, "creating automated snapshot")
    _fill(backend, instance, snapshot)
    backend.lab.wait(backend.lab.settings.seconds("backUp"), began, instance.gone)
    backend.set_status(snapshot, "available")
    tell(backend, snapshot, "automated snapshot created")
    tell(backend, instance, "backed up")
    return snapshot


def create(backend: LabBackend, params: Any) -> LabSnapshot:
    """CreateDBSnapshot."""
    instance: Any = backend.databases.get(params["DBInstanceIdentifier"])
    if instance is None:
        raise DBInstanceNotFoundError(params["DBInstanceIdentifier"])
    check_state(instance, ("available",))
    name = params["DBSnapshotIdentifier"]
    if name in backend.database_snapshots:
        raise DBSnapshotAlreadyExistsError(name)
    snapshot = LabSnapshot(backend, instance, name, tags=params.get("Tags"))
    backend.database_snapshots[name] = snapshot
    instance.status = "backing-up"

    def failed(_: str) -> None:
        backend.set_status(snapshot, "failed")
        backend.set_status(instance, "available")

    backend.lab.begin(f"snapshot {name}", lambda: _take(backend, instance, snapshot), failed, instance.gone)
    return snapshot


def copy(backend: LabBackend, params: Any) -> LabSnapshot:
    """CopyDBSnapshot, also of another region and of another account's that is shared."""
    source = backend.find_snapshot(params["SourceDBSnapshotIdentifier"], other_regions=True)
    name = params["TargetDBSnapshotIdentifier"]
    if name in backend.database_snapshots:
        raise DBSnapshotAlreadyExistsError(name)
    if source.status != "available" or source.backup is None:
        raise refuse("InvalidDBSnapshotState", f"The source snapshot {source.resource_id} is not in available state.")
    key = check_key(backend, params["KmsKeyId"]) if params.get("KmsKeyId") else None
    if source.encrypted and key is None and source.region != backend.region_name:
        raise refuse("InvalidParameterCombination", "KmsKeyId must be specified when an encrypted snapshot is copied to another region.")
    if source.encrypted:
        check_key(backend, source.kms_key_id, anywhere=True)
    # Given tags win over CopyTags.
    tags = params.get("Tags") or (source.tags if params.get("CopyTags") else None)
    snapshot = LabSnapshot(backend, source.database, name, tags=tags, kms_key_id=key or source.kms_key_id)
    if not tags:
        snapshot.tags = []
    snapshot.original_snapshot_create_time = source.original_snapshot_create_time
    snapshot.source_db_snapshot_identifier = source.arn
    snapshot.source_region = source.region
    snapshot.server_settings = source.server_settings
    snapshot.backup = backend.lab.backups.hold(source.backup)
    backend.database_snapshots[name] = snapshot
    backend.lab.begin(f"copy {name}", lambda: _finish_copy(backend, source, snapshot), lambda _: backend.set_status(snapshot, "failed"))
    return snapshot


def delete(backend: LabBackend, identifier: str) -> LabSnapshot:
    """DeleteDBSnapshot."""
    snapshot: Any = backend.database_snapshots.get(identifier)
    if snapshot is None:
        raise snapshot_not_found(identifier)
    if snapshot.snapshot_type == "automated":
        raise refuse("InvalidDBSnapshotState", "Only manual snapshots may be deleted.")
    if snapshot.status not in ("available", "failed"):
        raise refuse("InvalidDBSnapshotState", "Cannot delete the snapshot because it is not currently in the available or failed state.")
    remove(backend, snapshot)
    tell(backend, snapshot, "snapshot deleted")
    snapshot.status = "deleted"
    return snapshot  # type: ignore[no-any-return]


def remove(backend: LabBackend, snapshot: Any) -> None:
    """Takes it away, with its files when nothing else needs them."""
    backend.database_snapshots.pop(snapshot.resource_id, None)
    if snapshot.backup is not None:
        backend.lab.backups.release(snapshot.backup)
        snapshot.backup = None


def remove_automated(backend: LabBackend, instance: LabInstance) -> None:
    """With the retention of an instance go its automated backups."""
    with backend.lab.lock:
        for one in backend.bases_of(instance):
            remove(backend, one)
        backend.journal.remember()


def take_final(backend: LabBackend, instance: LabInstance, snapshot: LabSnapshot) -> None:
    """The snapshot that DeleteDBInstance asks for."""
    tell(backend, snapshot, "creating snapshot")
    _fill(backend, instance, snapshot)
    backend.set_status(snapshot, "available")
    tell(backend, snapshot, "snapshot created")


def _take(backend: LabBackend, instance: LabInstance, snapshot: LabSnapshot) -> None:
    began = time.monotonic()
    snapshot.begin(backend.lab.settings.seconds("snapshot"))
    tell(backend, snapshot, "creating snapshot")
    try:
        _fill(backend, instance, snapshot)
        backend.lab.wait(backend.lab.settings.seconds("backUp"), began, instance.gone)
    finally:
        if instance.status == "backing-up":
            backend.set_status(instance, "available")
    backend.lab.wait(backend.lab.settings.seconds("snapshot"), began, instance.gone)
    backend.set_status(snapshot, "available")
    tell(backend, snapshot, "snapshot created")


def _fill(backend: LabBackend, instance: LabInstance, snapshot: LabSnapshot) -> None:
    assert instance.server is not None
    snapshot.server_settings = instance.settings()
    try:
        snapshot.backup = backend.lab.take_backup(instance.server)
    except Exception:
        # A snapshot of an instance that was deleted meanwhile never comes to be.
        if instance.gone.is_set():
            with backend.lab.lock:
                remove(backend, snapshot)
        raise
    with backend.lab.lock:
        snapshot.taken = snapshot.original_snapshot_create_time = snapshot.backup.taken
        backend.journal.remember()


def _finish_copy(backend: LabBackend, source: LabSnapshot, snapshot: LabSnapshot) -> None:
    began = time.monotonic()
    seconds = backend.lab.settings.seconds("copySnapshot")
    snapshot.begin(seconds)
    tell(backend, snapshot, "copying snapshot", source.resource_id, source.region)
    backend.lab.wait(seconds, began, snapshot.gone)
    with backend.lab.lock:
        snapshot.taken = utcnow()
    backend.set_status(snapshot, "available")
    tell(backend, snapshot, "snapshot copied", source.resource_id, source.region)
