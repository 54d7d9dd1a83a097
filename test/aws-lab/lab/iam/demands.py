"""What a request needs permission for: actions, each on resources, with what conditions can look at."""

import io
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from moto.iam.models import get_account_id_from
from moto.kms.models import kms_backends
from moto.rds.models import rds_backends

from ..named_call import NamedCall
from ..rds.backend import LabBackend

# Which part of an ARN follows from which parameter of RDS.
KINDS = {
    "DBInstanceIdentifier": "db", "SourceDBInstanceIdentifier": "db", "TargetDBInstanceIdentifier": "db", "DBSnapshotIdentifier": "snapshot",
    "SourceDBSnapshotIdentifier": "snapshot", "TargetDBSnapshotIdentifier": "snapshot", "DBParameterGroupName": "pg", "SourceDBParameterGroupIdentifier": "pg",
    "TargetDBParameterGroupIdentifier": "pg", "DBSubnetGroupName": "subgrp", "OptionGroupName": "og",
}
ARNS = {"ResourceName", "RoleArn", "PolicySourceArn", "KeyId"}
TAG = re.compile(r"^Tags\.(?:[A-Za-z]+\.)?(\d+)\.(Key|Value)$")
RESTORES = ("RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime")
# Which parameter names what a call makes: that is what its tags are put on.
MADE = {
    "CreateDBInstance": "DBInstanceIdentifier", "RestoreDBInstanceFromDBSnapshot": "DBInstanceIdentifier", "RestoreDBInstanceToPointInTime": "TargetDBInstanceIdentifier",
    "CreateDBSnapshot": "DBSnapshotIdentifier", "CopyDBSnapshot": "TargetDBSnapshotIdentifier", "CreateDBParameterGroup": "DBParameterGroupName",
    "CopyDBParameterGroup": "TargetDBParameterGroupIdentifier", "CreateDBSubnetGroup": "DBSubnetGroupName", "CreateOptionGroup": "OptionGroupName",
}
# What reads with the key of another account needs of it besides, as RDS's user guide has it ("Sharing encrypted snapshots").
OF_SHARED_KEY = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom")


@dataclass
class Demand:
    """One permission that has to be there."""

    action: str
    resource: str
    context: dict[str, str]


def of_call(asked: NamedCall, environ: dict[str, Any]) -> list[Demand]:
    """All that a request demands; each has to be allowed. Keys of contexts are in lower case."""
    account = get_account_id_from(asked.access_key)
    tags = _request_tags(environ["wsgi.input"])
    action = f"{asked.service}:{asked.action}"
    resources = _resources(asked, account) or ["*"]
    demands = [Demand(action, resource, {**tags, **_resource_tags(resource)}) for resource in resources]
    if asked.service == "rds" and tags and asked.action in MADE:
        # To tag what is made is a permission of its own.
        demands += [Demand("rds:AddTagsToResource", _arn(asked, account, MADE[asked.action], name), tags) for name in asked.identifiers.get(MADE[asked.action], [])]
    if asked.action in RESTORES:
        demands += _of_key(_key_of(asked, account, "DBSnapshotIdentifier", "SourceDBInstanceIdentifier"), asked.region)
    if asked.action == "CopyDBSnapshot":
        read = _key_of(asked, account, "SourceDBSnapshotIdentifier")
        demands += _of_key(read, read.split(":")[3] if read else asked.region, *(OF_SHARED_KEY if read and read.split(":")[4] != account else ()))
        for named in asked.identifiers.get("KmsKeyId", []):
            demands += _of_key(_key_arn(named, account, asked.region), asked.region)
    return demands


def _of_key(key: str | None, region: str, *besides: str) -> list[Demand]:
    """What whoever has RDS use a key needs of it, through RDS of its region."""
    through = {"kms:viaservice": f"rds.{region}.amazonaws.com"}
    if key is None:
        return []
    return [Demand("kms:DescribeKey", key, through), Demand("kms:CreateGrant", key, {**through, "kms:grantisforawsresource": "true"}), *(Demand(action, key, through) for action in besides)]


def _request_tags(body: io.BytesIO) -> dict[str, str]:
    found: dict[str, dict[str, str]] = {}
    for name, value in parse_qsl(body.getvalue().decode("utf-8", "replace"), keep_blank_values=True):
        match = TAG.match(name)
        if match:
            found.setdefault(match.group(1), {})[match.group(2)] = value
    return {f"aws:requesttag/{one['Key']}".lower(): one.get("Value", "") for one in found.values()}


def _resources(asked: NamedCall, account: str) -> list[str]:
    found: list[str] = []
    for name, values in asked.identifiers.items():
        if asked.service == "rds" and name == "KmsKeyId":
            # Nothing of RDS: a key has demands of its own.
            continue
        for value in values:
            if name in ARNS or value.startswith("arn:"):
                found.append(value)
            elif asked.service == "rds" and name in KINDS:
                found.append(_arn(asked, account, name, value))
    if asked.action in RESTORES:
        # Of each of these RDS takes one, whether it is named or not.
        major = LabBackend.lab.postgres_major
        for name, default in (("OptionGroupName", f"default:postgres-{major}"), ("DBParameterGroupName", f"default.postgres{major}"), ("DBSubnetGroupName", "default")):
            if name not in asked.identifiers:
                found.append(_arn(asked, account, name, default))
    return found


def _arn(asked: NamedCall, account: str, parameter: str, name: str) -> str:
    return f"arn:aws:rds:{asked.region}:{account}:{KINDS[parameter]}:{name}"


def _resource_tags(arn: str) -> dict[str, str]:
    """Of what does not exist, none."""
    found = _find(arn)
    return {f"aws:resourcetag/{tag['Key']}".lower(): tag["Value"] for tag in getattr(found, "tags", None) or []}


def _find(arn: str) -> Any:
    if not arn.startswith("arn:aws:rds:"):
        return None
    _, _, _, region, account, kind, name = arn.split(":", 6)
    backend = rds_backends[account][region]
    kept = {"db": backend.databases, "snapshot": backend.database_snapshots, "pg": backend.db_parameter_groups}
    return kept.get(kind, {}).get(name)


def _key_of(asked: NamedCall, account: str, *parameters: str) -> str | None:
    """Of what is restored or copied; None where that is not encrypted."""
    for name in parameters:
        for value in asked.identifiers.get(name, []):
            found = _find(value if value.startswith("arn:") else _arn(asked, account, name, value))
            encrypted = getattr(found, "encrypted", getattr(found, "storage_encrypted", False))
            return found.kms_key_id if encrypted else None
    return None


def _key_arn(key: str, account: str, region: str) -> str:
    """Of a key that is named by its id, its ARN or an alias; as it is written where there is none."""
    if key.startswith("arn:"):
        return key
    try:
        found: str = kms_backends[account][region].describe_key(key).arn
        return found
    except KeyError:
        return f"arn:aws:kms:{region}:{account}:key/{key}"
