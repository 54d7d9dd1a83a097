"""Who asks, and which policies they have."""

from dataclasses import dataclass
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import get_account_id_from, iam_backends
from moto.sts.models import sts_backends


@dataclass
class Principal:
    """A user or an assumed role."""

    arn: str
    documents: list[str]


def asking(access_key: str) -> Principal | None:
    """By access key; None for whoever IAM does not know, who may do everything as an account's root may."""
    account = get_account_id_from(access_key)
    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(access_key)
    if session is not None:
        return Principal(session.arn, _of_known(account, session.role_arn))
    user = iam_backends[account]["aws"].get_user_from_access_key_id(access_key)
    return None if user is None else Principal(user.arn, _of_known(account, user.arn))


def of_arn(account: str, arn: str) -> list[str]:
    """The policies of a user or a role, those of its own and those that are attached.

    :raises NotFoundException: where there is no such user or role
    :raises NotImplementedError: for a user in a group
    """
    backend = iam_backends[account]["aws"]
    name = arn.rsplit("/", maxsplit=1)[-1]
    if ":role/" in arn:
        role = backend.get_role_by_arn(arn)
        return [*role.policies.values(), *_attached(role)]
    user: Any = backend.get_user(name)
    if backend.get_groups_for_user(name):
        raise NotImplementedError("the lab heeds no policies of groups")
    return [*(user.get_policy(one)["policy_document"] for one in user.policies), *_attached(user)]


def _of_known(account: str, arn: str) -> list[str]:
    """A role need not exist to be assumed here; then it has none."""
    try:
        return of_arn(account, arn)
    except NotFoundException:
        return []


def _attached(owner: Any) -> list[str]:
    return [version.document for policy in owner.managed_policies.values() for version in policy.versions if version.is_default]
