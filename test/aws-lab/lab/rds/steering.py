"""What a test steers of RDS besides its calls: below /_lab/rds/."""

import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable

from moto.rds.models import rds_backends

from .backend import LabBackend
from .backups import take_automated
from .changes import find
from .instance import LabInstance
from .refusals import check_state

if TYPE_CHECKING:
    from ..core import Lab

FAILURES = ("incompatible-network", "incompatible-parameters", "incompatible-restore", "storage-full", "failed")


def routes(lab: "Lab") -> dict[str, Callable[[dict[str, Any]], Any]]:
    """Each by the last part of its path."""

    def instance_of(given: dict[str, Any]) -> tuple[LabBackend, LabInstance]:
        backend: Any = rds_backends[given["account"]][given["region"]]
        return backend, find(backend, given["instance"])

    def automated_snapshot(given: dict[str, Any]) -> Any:
        with lab.lock:
            backend, instance = instance_of(given)
            check_state(instance, ("available",))
            backend.set_status(instance, "backing-up")
        try:
            snapshot = take_automated(backend, instance)
        finally:
            backend.set_status(instance, "available")
        return {"snapshot": snapshot.resource_id}

    def archive_now(given: dict[str, Any]) -> Any:
        _, instance = instance_of(given)
        if instance.archiver is None:
            raise ValueError(f"{instance.resource_id} archives nothing: its backup retention period is 0, or it is not available yet")
        instance.archiver.archive_now()
        return {}

    def back_date(given: dict[str, Any]) -> Any:
        moment = datetime.fromisoformat(given["created"].replace("Z", "+00:00")).astimezone(timezone.utc).replace(tzinfo=None)
        with lab.lock:
            backend: Any = rds_backends[given["account"]][given["region"]]
            snapshot = backend.find_snapshot(given["snapshot"])
            snapshot.taken = snapshot.original_snapshot_create_time = moment
            backend.journal.remember()
        return {}

    def pass_off(given: dict[str, Any]) -> Any:
        with lab.lock:
            backend: Any = rds_backends[given["account"]][given["region"]]
            snapshot, instance = backend.find_snapshot(given["snapshot"]), backend.databases[given["instance"]]
            snapshot.db_instance_identifier, snapshot.dbi_resource_id = instance.resource_id, instance.dbi_resource_id
            backend.journal.remember()
        return {}

    def snapshot_files(given: dict[str, Any]) -> Any:
        with lab.lock:
            backend: Any = rds_backends[given["account"]][given["region"]]
            snapshot = backend.find_snapshot(given["snapshot"])
            if snapshot.backup is None:
                raise ValueError(f"{snapshot.resource_id} has no files yet")
            return {"dataDirectory": os.path.join(snapshot.backup.directory, "data"), "archive": snapshot.database.archive}

    def archive(given: dict[str, Any]) -> Any:
        settings = lab.settings
        settings.archive_every_ms = int(given.get("everyMs", settings.archive_every_ms))
        settings.archive_lag_ms = int(given.get("lagMs", settings.archive_lag_ms))
        settings.archive_paused = bool(given.get("paused", settings.archive_paused))
        return {}

    def fail_next_restore(given: dict[str, Any]) -> Any:
        if given["status"] not in FAILURES:
            raise ValueError(f"a restore ends in one of {', '.join(FAILURES)}")
        lab.settings.fail_next_restore({"status": given["status"], "reason": given["reason"]})
        return {}

    def refuse_delete_while_creating(given: dict[str, Any]) -> Any:
        lab.settings.refuses_delete_while_creating = bool(given["refused"])
        return {}

    def events(given: dict[str, Any]) -> Any:
        backend: Any = rds_backends[given["account"]][given["region"]]
        with lab.lock:
            return [
                {"id": one.event_id, "at": one.date.isoformat(timespec="milliseconds") + "Z", "sourceType": one.source_type, "source": one.source_identifier, "categories": one.event_categories, "message": one.message}
                for one in backend.events
            ]

    def servers(given: dict[str, Any]) -> Any:
        with lab.lock:
            return [
                {"account": account, "region": region, "instance": name, "pid": one.server.pid, "dataDirectory": one.server.data}
                for account, regions in rds_backends.items() for region, backend in regions.items() for name, one in backend.databases.items()
                if one.server is not None and one.server.pid is not None
            ]

    return {
        "automated-snapshot": automated_snapshot, "archive-now": archive_now, "back-date": back_date, "pass-off": pass_off, "archive": archive, "snapshot-files": snapshot_files, "fail-next-restore": fail_next_restore,
        "delete-while-creating": refuse_delete_while_creating, "events": events, "servers": servers,
    }
