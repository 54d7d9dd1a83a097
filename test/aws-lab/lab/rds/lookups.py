"""Reads that moto answers otherwise than RDS, and small records."""

from typing import Any

from moto.rds.exceptions import DBInstanceNotFoundError, DBParameterGroupNotFoundError, OptionGroupNotFoundFaultError
from moto.rds.models import OptionGroup
from moto.sns.models import sns_backends

from .backend import LabBackend
from .refusals import PRELOADABLE, refuse, snapshot_not_found
from .restores import automated_backup_id
from .snapshot import LabSnapshot, earliest

FILTERS = {
    "db-instance-id": lambda one: (one.db_instance_identifier, one.database.arn),
    "db-snapshot-id": lambda one: (one.resource_id, one.arn),
    "dbi-resource-id": lambda one: (one.dbi_resource_id,),
    "snapshot-type": lambda one: (one.snapshot_type,),
    "engine": lambda one: (one.engine,),
}


def snapshots(backend: LabBackend, params: Any) -> list[LabSnapshot]:
    """DescribeDBSnapshots: own ones; those of others only when asked for."""
    identifier, kind = params.get("DBSnapshotIdentifier"), params.get("SnapshotType")
    others = kind in ("shared", "public") or params.get("IncludeShared") or params.get("IncludePublic") or (identifier or "").startswith("arn:")
    found = [one for one in (backend.visible_snapshots() if others else backend.database_snapshots.values()) if _of_kind(backend, one, kind)]
    if identifier:
        found = [one for one in found if identifier.lower() in (one.resource_id, one.arn)]
    if params.get("DBInstanceIdentifier"):
        wanted = params["DBInstanceIdentifier"].rsplit(":", maxsplit=1)[-1]
        found = [one for one in found if one.db_instance_identifier == wanted.lower()]
    if params.get("DbiResourceId"):
        found = [one for one in found if one.dbi_resource_id == params["DbiResourceId"]]
    for given in params.get("Filters") or []:
        if given["Name"] not in FILTERS:
            raise refuse("InvalidParameterValue", f"Unrecognized filter name: {given['Name']}")
        found = [one for one in found if set(FILTERS[given["Name"]](one)).intersection(given["Values"])]
    if identifier and not found:
        raise snapshot_not_found(identifier)
    return [one.shown_to(backend.account_id) for one in found]  # type: ignore[attr-defined]


def _of_kind(backend: LabBackend, snapshot: Any, kind: str | None) -> bool:
    own = snapshot.account_id == backend.account_id
    if kind == "shared":
        return not own and backend.account_id in snapshot.attributes["restore"]
    if kind == "public":
        return "all" in snapshot.attributes["restore"]
    return kind is None or own and snapshot.snapshot_type == kind


def automated_backups(backend: LabBackend, params: Any) -> list[dict[str, Any]]:
    """DescribeDBInstanceAutomatedBackups: of instances, and those that deleted ones left."""
    found = []
    for instance in [*backend.databases.values(), *backend.retained.values()]:
        bases = backend.bases_of(instance)
        if not bases or not instance.backup_retention_period:
            continue
        latest = instance.latest_restorable_time
        arn = f"arn:aws:rds:{backend.region_name}:{backend.account_id}:auto-backup:{automated_backup_id(instance)}"
        wanted = {"DBInstanceIdentifier": instance.resource_id, "DbiResourceId": instance.dbi_resource_id, "DBInstanceAutomatedBackupsArn": arn}
        if any(params.get(name) and params[name] != value for name, value in wanted.items()):
            continue
        found.append({
            **wanted, "DBInstanceArn": instance.arn, "Region": backend.region_name, "Engine": instance.engine, "EngineVersion": instance.engine_version,
            "Status": "retained" if instance.dbi_resource_id in backend.retained else "active" if latest else "creating",
            "RestoreWindow": {"EarliestTime": earliest(bases[0]), "LatestTime": latest} if latest else None,
            "AllocatedStorage": instance.allocated_storage, "MasterUsername": instance.master_username, "BackupRetentionPeriod": instance.backup_retention_period,
            "Encrypted": instance.storage_encrypted, "StorageType": instance.storage_type, "InstanceCreateTime": instance.instance_create_time, "TagList": instance.tags,
        })
    return found


def parameter_groups(backend: LabBackend, name: str | None) -> list[Any]:
    """All, or one; moto answers an empty list for one that does not exist."""
    found = [one for one in backend.db_parameter_groups.values() if not name or one.name == name.lower()]
    if name and not found:
        raise DBParameterGroupNotFoundError(name)
    return found


def parameters(backend: LabBackend, params: Any) -> list[dict[str, Any]]:
    """Those that were modified, and, unless only these are asked for, the libraries that RDS loads; RDS lists all others, too."""
    name = params["DBParameterGroupName"]
    groups = [] if name.startswith("default.postgres") else parameter_groups(backend, name)
    modified = {parameter: dict(one) for group in groups for parameter, one in group.parameters.items()}
    if params.get("Source") == "user":
        return list(modified.values())
    libraries = {"ParameterName": "shared_preload_libraries", **modified.pop("shared_preload_libraries", {}), "AllowedValues": PRELOADABLE}
    return [*modified.values(), libraries]


def copy_parameter_group(backend: LabBackend, params: Any) -> Any:
    """As RDS does it: of a group that people made, its family, its parameters, and no tags but those that are given."""
    (source,) = parameter_groups(backend, params["SourceDBParameterGroupIdentifier"])
    if source.name.startswith("default."):
        raise refuse("InvalidParameterValue", "Cannot copy the default DB parameter group.")
    copy = backend.create_db_parameter_group({
        "db_parameter_group_name": params["TargetDBParameterGroupIdentifier"], "db_parameter_group_family": source.family,
        "description": params["TargetDBParameterGroupDescription"], "tags": params.get("Tags") or [],
    })
    copy.update_parameters(dict(one) for one in source.parameters.values())
    return copy


def option_groups(backend: LabBackend, params: Any) -> list[OptionGroup]:
    """Those that match; moto falls over where nothing is asked for."""
    name, engine, version = (params.get(one) for one in ("OptionGroupName", "EngineName", "MajorEngineVersion"))
    if name and name not in backend.option_groups:
        raise OptionGroupNotFoundFaultError(name)
    return [one for one in backend.option_groups.values() if name in (None, one.name) and engine in (None, one.engine_name) and version in (None, one.major_engine_version)]


def create_option_group(backend: LabBackend, params: Any) -> OptionGroup:
    """For PostgreSQL of the lab's version; it has no options."""
    name = params["OptionGroupName"]
    if name in backend.option_groups:
        raise refuse("OptionGroupAlreadyExistsFault", f"An option group named {name} already exists.")
    if params["EngineName"] != "postgres" or params["MajorEngineVersion"] != backend.lab.postgres_major:
        raise refuse("InvalidParameterCombination", f"Cannot find major version {params['MajorEngineVersion']} for {params['EngineName']}")
    group = OptionGroup(backend, name, "postgres", params["MajorEngineVersion"], params["OptionGroupDescription"], params.get("Tags"))
    backend.option_groups[name] = group
    return group


def check_resource(backend: LabBackend, arn: str) -> None:
    """What a request about tags names exists."""
    if backend._get_resource_for_tagging(arn) is None:
        kind, name = arn.split(":", 6)[5:]
        raise snapshot_not_found(name) if kind == "snapshot" else DBInstanceNotFoundError(name)


def create_event_subscription(backend: LabBackend, params: Any) -> Any:
    """moto takes any topic, and leaves the subscription switched off."""
    topic = params["SnsTopicArn"]
    region, account = topic.split(":")[3:5]
    if topic not in sns_backends[account][region].topics:
        raise refuse("SNSTopicArnNotFound", f"The SNS topic {topic} does not exist.")
    if params.get("SourceIds") and not params.get("SourceType"):
        raise refuse("InvalidParameterCombination", "SourceType must be given when SourceIds are.")
    subscription = backend.create_event_subscription(params)
    subscription.enabled = params.get("Enabled") is None or bool(params["Enabled"])
    return subscription
