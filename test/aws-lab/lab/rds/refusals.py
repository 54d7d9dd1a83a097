"""What RDS refuses, with its error codes."""

import re
from typing import Any

from moto.ec2.models import ec2_backends
from moto.rds.exceptions import (
    DBInstanceAlreadyExists,
    DBParameterGroupNotFoundError,
    DBSubnetGroupNotFoundError,
    OptionGroupNotFoundFaultError,
    RDSClientError,
)


# At most.
IOPS_PER_GIB = {"io1": 50, "io2": 1000}
# What RDS allows in shared_preload_libraries.
PRELOADABLE = "auto_explain,orafce,pgaudit,pglogical,pg_bigm,pg_cron,pg_hint_plan,pg_prewarm,pg_similarity,pg_stat_statements,pg_tle,pg_transport,plprofiler"


def refuse(code: str, message: str) -> RDSClientError:
    """An error as RDS answers it; to be raised."""
    return RDSClientError(code, message)


def snapshot_not_found(identifier: str) -> RDSClientError:
    """moto answers DBSnapshotNotFoundFault, which is the name of the shape and not the code."""
    return refuse("DBSnapshotNotFound", f"DBSnapshot {identifier} not found.")


def check_new_identifier(backend: Any, identifier: str) -> None:
    """A new instance's name is valid and free."""
    backend._validate_db_identifier(identifier)
    if identifier in backend.databases:
        raise DBInstanceAlreadyExists()


def check_groups(backend: Any, params: Any, engine_version: str) -> None:
    """Every group that a request names exists, and that of parameters is of the family of what is made. moto looks only when it creates, and at no family."""
    group = params.get("DBParameterGroupName")
    if group and group not in backend.db_parameter_groups and not group.startswith("default.postgres"):
        raise DBParameterGroupNotFoundError(group)
    family, wanted = group and (group.removeprefix("default.") if group.startswith("default.") else backend.db_parameter_groups[group].family), f"postgres{engine_version.split('.')[0]}"
    if family and family != wanted:
        raise refuse("InvalidParameterCombination", f"The Parameter Group {group} with DBParameterGroupFamily {family} cannot be used for this instance. Please use a Parameter Group with DBParameterGroupFamily {wanted}")
    option_group = params.get("OptionGroupName")
    if option_group and option_group not in backend.option_groups and not option_group.startswith("default:postgres"):
        raise OptionGroupNotFoundFaultError(option_group)
    subnet_group = params.get("DBSubnetGroupName")
    if subnet_group and subnet_group not in backend.subnet_groups:
        raise DBSubnetGroupNotFoundError(subnet_group)
    known = ec2_backends[backend.account_id][backend.region_name].describe_security_groups()
    for wanted in params.get("VpcSecurityGroupIds") or []:
        if wanted not in {found.id for found in known}:
            raise refuse("InvalidParameterValue", f"Invalid security group , groupId= {wanted}, groupName=.")


def check_storage(params: Any, size: int) -> None:
    """IOPS and throughput are chosen of storage that has them to choose: gp3 from 400 GiB on, io1 and io2; of these so many for each GiB."""
    kind, iops, throughput = (params.get(one) for one in ("StorageType", "Iops", "StorageThroughput"))
    if kind == "gp3" and size < 400 and (iops or throughput):
        raise refuse("InvalidParameterCombination", "You can't specify IOPS or storage throughput for engine postgres and a storage size less than 400.")
    if kind in ("io1", "io2") and not iops:
        raise refuse("InvalidParameterCombination", f"You must specify Iops for storage type {kind}.")
    if kind in IOPS_PER_GIB:
        if size < 100:
            raise refuse("InvalidParameterCombination", f"Invalid storage size for engine name postgres and storage type {kind}: {size}")
        if iops > min(IOPS_PER_GIB[kind] * size, 256_000):
            raise refuse("InvalidParameterCombination", f"Iops to storage (in GB) ratio of {iops / size} is too high. The max ratio is {IOPS_PER_GIB[kind]}")
    if kind in ("gp2", "standard") and (iops or throughput):
        raise refuse("InvalidParameterCombination", f"You can't specify IOPS or storage throughput for storage type {kind}.")


def check_state(instance: Any, allowed: tuple[str, ...]) -> None:
    """The instance is in a state in which the request makes sense."""
    if instance.status not in allowed:
        raise refuse("InvalidDBInstanceState", f"Instance {instance.resource_id} is not in {' or '.join(allowed)} state.")


def check_key(backend: Any, key: str, anywhere: bool = False) -> str:
    """The KMS key exists in this region, is enabled and lets this account in, by its policy or by a grant; answers its ARN."""
    arn: str = key if anywhere else backend._validate_kms_key(key)
    region, account = arn.split(":")[3:5]
    found = backend.get_backend("kms", region, account).describe_key(arn)
    mine = backend.account_id
    let_in = account == mine or mine in found.policy or any(mine in grant.grantee_principal for grant in found.grants.values())
    if not found.enabled or not let_in:
        raise refuse("KMSKeyNotAccessibleFault", f"Specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it.")
    return arn


def check_new_parameter_group(params: Any) -> None:
    """RDS knows its families, and names with letters, digits and single hyphens."""
    if not re.fullmatch(r"[A-Za-z](?:-?[A-Za-z0-9])*", params["DBParameterGroupName"]):
        raise refuse("InvalidParameterValue", "The parameter DBParameterGroupName is not a valid identifier.")
    if not re.fullmatch(r"postgres\d+", params["DBParameterGroupFamily"]):
        raise refuse("InvalidParameterValue", f"The parameter group family {params['DBParameterGroupFamily']} is not valid.")


def check_parameters_at_once(parameters: list[Any]) -> None:
    """A request changes 20 parameters at most."""
    if len(parameters) > 20:
        raise refuse("InvalidParameterValue", "A maximum of 20 parameters can be modified in a single request.")


def check_preloaded(parameters: list[Any]) -> None:
    """RDS loads only libraries that it has."""
    for one in parameters:
        given = [name.strip() for name in (one.get("ParameterValue") or "").split(",")] if one.get("ParameterName") == "shared_preload_libraries" else []
        for name in given:
            if name and name not in PRELOADABLE.split(","):
                raise refuse("InvalidParameterValue", f"Invalid parameter value: {name} for: shared_preload_libraries allowed values are: {PRELOADABLE}")


def check_parameter_group_unused(backend: Any, name: str) -> None:
    """No instance uses the group that is to be deleted."""
    if name.lower().startswith("default."):
        raise refuse("InvalidDBParameterGroupState", f"{name} is a default DB parameter group and cannot be deleted.")
    if any((one.db_parameter_group_name or "").lower() == name.lower() for one in backend.databases.values()):
        raise refuse("InvalidDBParameterGroupState", "One or more database instances are still members of this parameter group, so the group cannot be deleted.")


def check_option_group_unused(backend: Any, name: str) -> None:
    """Neither an instance nor a snapshot names the group that is to be deleted."""
    if any(one.option_group_name == name for one in [*backend.databases.values(), *backend.database_snapshots.values()]):
        raise refuse("InvalidOptionGroupStateFault", f"The option group '{name}' cannot be deleted because it is in use.")


def check_subnet_group_unused(backend: Any, name: str) -> None:
    """No instance lies in the group that is to be deleted."""
    for one in backend.databases.values():
        if (one._db_subnet_group_name or "").lower() == name.lower():
            raise refuse("InvalidDBSubnetGroupStateFault", f"Cannot delete the subnet group '{name}' because at least one database instance: {one.resource_id} is still using it.")
