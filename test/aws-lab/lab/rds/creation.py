"""New instances, empty ones and restored ones: what is common to both, and what happens in the background."""

import time
from typing import Any, Callable

from ..postgres import roles
from ..postgres.cluster import Cluster
from .backend import LabBackend
from .backups import take_automated
from .events import tell
from .instance import LabInstance
from .refusals import check_groups, check_key, check_new_identifier, refuse

# Of a request, by moto's names; everything else is either read by the lab or has no effect.
TAKEN_OVER = {
    "DBInstanceClass": "db_instance_class", "Port": "port", "AvailabilityZone": "availability_zone", "DBSubnetGroupName": "db_subnet_group_name",
    "MultiAZ": "multi_az", "PubliclyAccessible": "publicly_accessible", "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
    "Iops": "iops", "StorageThroughput": "storage_throughput", "OptionGroupName": "option_group_name", "Tags": "tags", "StorageType": "storage_type",
    "VpcSecurityGroupIds": "vpc_security_group_ids", "CopyTagsToSnapshot": "copy_tags_to_snapshot", "DBParameterGroupName": "db_parameter_group_name",
    "DeletionProtection": "deletion_protection", "AllocatedStorage": "allocated_storage", "MaxAllocatedStorage": "max_allocated_storage",
    "BackupRetentionPeriod": "backup_retention_period", "PreferredBackupWindow": "preferred_backup_window",
    "PreferredMaintenanceWindow": "preferred_maintenance_window", "EnableIAMDatabaseAuthentication": "enable_iam_database_authentication",
    "EnableCloudwatchLogsExports": "enable_cloudwatch_logs_exports",
}


def taken_over(params: Any) -> dict[str, Any]:
    """The values of a request under the names that moto's model wants."""
    return {name: params[given] for given, name in TAKEN_OVER.items() if params.get(given) is not None}


def create(backend: LabBackend, params: Any) -> LabInstance:
    """CreateDBInstance."""
    identifier = params["DBInstanceIdentifier"]
    check_new_identifier(backend, identifier)
    check_groups(backend, params, backend.lab.postgres_version)
    _check_engine(backend, params)
    for required in ("MasterUsername", "MasterUserPassword"):
        if not params.get(required):
            raise refuse("InvalidParameterValue", f"The parameter {required} must be provided and must not be blank.")
    check_master(params["MasterUsername"], params["MasterUserPassword"])
    values = {"backup_retention_period": 1, **taken_over(params)}
    if params.get("StorageEncrypted"):
        values["kms_key_id"] = check_key(backend, params.get("KmsKeyId") or "alias/aws/rds")
    instance = LabInstance(
        backend, db_instance_identifier=identifier, engine_version=backend.lab.postgres_version, master_username=params["MasterUsername"],
        db_name=params.get("DBName"), storage_encrypted=bool(params.get("StorageEncrypted")), **values,
    )
    password = params["MasterUserPassword"]

    def make(cluster: Cluster) -> None:
        cluster.initialise()
        cluster.start(instance.settings())
        with cluster.admin() as admin:
            roles.prepare(admin, instance.master_username, password)
            if instance.db_name and instance.db_name != "postgres":
                roles.create_database(admin, instance.db_name, instance.master_username)
        with cluster.admin(roles.ADMIN_DATABASE) as admin:
            roles.prepare_heartbeat(admin)

    begin(backend, instance, "create", make)
    return instance


def begin(
    backend: LabBackend, instance: LabInstance, duration: str, make: Callable[[Cluster], None], restored: tuple[str, ...] = (), failure: dict[str, str] | None = None,
    done: Callable[[], None] = lambda: None,
) -> None:
    """Adds the instance and brings it up in the background; `restored` is the event that says what it came from."""
    backend.databases[instance.resource_id] = instance

    def work() -> None:
        began = time.monotonic()
        try:
            if failure is None:
                instance.server = backend.lab.new_cluster()
                instance.server.keep_archive(bool(instance.backup_retention_period))
                make(instance.server)
        finally:
            done()
            instance.made.set()
        backend.lab.wait(backend.lab.settings.seconds(duration), began, instance.gone)
        if failure is not None:
            tell(backend, instance, failure["status"], failure["reason"])
            backend.set_status(instance, failure["status"])
            return
        with backend.lab.lock:
            instance.reachable = True
        if restored:
            tell(backend, instance, *restored)
        tell(backend, instance, "created")
        _settle(backend, instance)

    def failed(reason: str) -> None:
        tell(backend, instance, "failed", reason[:200])
        backend.set_status(instance, "failed")

    backend.lab.begin(f"create {instance.resource_id}", work, failed, instance.gone)


def _settle(backend: LabBackend, instance: LabInstance) -> None:
    """From created to available: by way of a first backup, or of a modification where there are no backups."""
    if instance.backup_retention_period:
        backend.set_status(instance, "backing-up")
        take_automated(backend, instance)
        instance.keep_archiving()
    else:
        backend.set_status(instance, "modifying")
        backend.lab.wait(backend.lab.settings.seconds("modify"), time.monotonic(), instance.gone)
    backend.set_status(instance, "available")


def check_master(name: str, password: str) -> None:
    """Rules of RDS for PostgreSQL."""
    if name.lower() in ("rdsadmin", "rds_superuser", "rds_replication", "rds_password", "rds_iam", "admin") or name.lower().startswith("pg_"):
        raise refuse("InvalidParameterValue", f"MasterUsername {name} cannot be used as it is a reserved word used by the engine")
    check_password(password)


def check_password(password: str) -> None:
    """At least eight characters, none of which a connection string could not hold."""
    if not 8 <= len(password) <= 128:
        raise refuse("InvalidParameterValue", "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters.")
    if any(character in '/@" ' or not 32 < ord(character) < 127 for character in password):
        raise refuse("InvalidParameterValue", "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.")


def _check_engine(backend: LabBackend, params: Any) -> None:
    if params.get("Engine") != "postgres":
        raise refuse("InvalidParameterValue", f"The lab knows the engine postgres only, not {params.get('Engine')}.")
    version = params.get("EngineVersion")
    if version and version.split(".")[0] != backend.lab.postgres_major:
        raise refuse("InvalidParameterCombination", f"Cannot find version {version} for postgres")
