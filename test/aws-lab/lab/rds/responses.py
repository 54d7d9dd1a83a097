"""Answers to requests: ours where time, files or refusals matter, moto's elsewhere."""

from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.rds.responses import RDSResponse

from ..context import stale_seconds
from . import backups, changes, creation, events, lookups, refusals, restores
from .actions import ACTIONS
from .pages import page


class LabResponse(RDSResponse):
    """One request to RDS."""

    @property
    def backend(self) -> Any:
        """The backend as it is; for a stale read, as it was."""
        backend: Any = super().backend
        age = stale_seconds()
        return backend.journal.view(age) if age else backend

    def call_action(self) -> Any:
        """Answers under the lab's lock; refuses what the lab does not have.

        :raises NotImplementedError: for an action that is not in the list
        """
        action = self._get_action()
        if action not in ACTIONS or not hasattr(self, camelcase_to_underscores(action)):
            raise NotImplementedError(f"the lab has no {action}")
        lab = super().backend.lab  # type: ignore[attr-defined]
        # Of a request without parameters moto makes a plain dict.
        for name in self.params.original_dict() if self.params else ():
            if name not in ACTIONS[action]:
                lab.calls.not_implemented("rds", action, f"the parameter {name} is ignored")
        with lab.lock:
            answer = super().call_action()
            if not action.startswith(("Describe", "List")):
                super().backend.journal.remember()  # type: ignore[attr-defined]
            return answer

    def create_db_instance(self) -> ActionResult:
        """Creating; a real server follows."""
        return ActionResult({"DBInstance": creation.create(self.backend, self.params)})

    def restore_db_instance_from_db_snapshot(self) -> ActionResult:
        """Creating; a server from the snapshot's files follows."""
        return ActionResult({"DBInstance": restores.from_snapshot(self.backend, self.params)})

    def restore_db_instance_to_point_in_time(self) -> ActionResult:
        """Creating; a server that was recovered to the time follows."""
        return ActionResult({"DBInstance": restores.to_point_in_time(self.backend, self.params)})

    def modify_db_instance(self) -> ActionResult:
        """Pending; modifying follows."""
        return ActionResult({"DBInstance": changes.modify(self.backend, self.params)})

    def reboot_db_instance(self) -> ActionResult:
        """Rebooting."""
        return ActionResult({"DBInstance": changes.reboot(self.backend, self.params["DBInstanceIdentifier"])})

    def delete_db_instance(self) -> ActionResult:
        """Deleting."""
        return ActionResult({"DBInstance": changes.delete(self.backend, self.params)})

    def create_db_snapshot(self) -> ActionResult:
        """Creating."""
        self.backend.validate_db_snapshot_identifier(self.params["DBSnapshotIdentifier"], parameter_name="DBSnapshotIdentifier")
        return ActionResult({"DBSnapshot": backups.create(self.backend, self.params)})

    def copy_db_snapshot(self) -> ActionResult:
        """Creating."""
        self.backend.validate_db_snapshot_identifier(self.params["TargetDBSnapshotIdentifier"], parameter_name="TargetDBSnapshotIdentifier")
        return ActionResult({"DBSnapshot": backups.copy(self.backend, self.params)})

    def delete_db_snapshot(self) -> ActionResult:
        """Gone at once."""
        return ActionResult({"DBSnapshot": backups.delete(self.backend, self.params["DBSnapshotIdentifier"])})

    def describe_db_snapshots(self) -> ActionResult:
        """Own, shared and public ones."""
        return page("DBSnapshots", lookups.snapshots(self.backend, self.params), self.params)

    def describe_db_instances(self) -> ActionResult:
        """By name, ARN or filter."""
        filters = {one["Name"]: one["Values"] for one in self.params.get("Filters") or []}
        return page("DBInstances", self.backend.describe_db_instances(self.params.get("DBInstanceIdentifier"), filters=filters), self.params)

    def describe_db_subnet_groups(self) -> ActionResult:
        """By name."""
        return page("DBSubnetGroups", self.backend.describe_db_subnet_groups(self.params.get("DBSubnetGroupName")), self.params)

    def describe_db_instance_automated_backups(self) -> ActionResult:
        """With the window that can be restored to."""
        return page("DBInstanceAutomatedBackups", lookups.automated_backups(self.backend, self.params), self.params)

    def describe_events(self) -> ActionResult:
        """Of the last hour unless it says otherwise."""
        if self.params.get("SourceIdentifier") and not self.params.get("SourceType"):
            raise refusals.refuse("InvalidParameterCombination", "Cannot specify source identifier without source type")
        return page("Events", events.matching(self.backend.events, self.params), self.params)

    def copy_db_parameter_group(self) -> ActionResult:
        """With the parameters of its source; moto has no such action."""
        return ActionResult({"DBParameterGroup": lookups.copy_parameter_group(self.backend, self.params)})

    def describe_db_parameter_groups(self) -> ActionResult:
        """moto answers an empty list for one that does not exist."""
        return page("DBParameterGroups", lookups.parameter_groups(self.backend, self.params.get("DBParameterGroupName")), self.params)

    def describe_db_parameters(self) -> ActionResult:
        """Those that were modified, and of the others one."""
        return page("Parameters", lookups.parameters(self.backend, self.params), self.params)

    def describe_option_groups(self) -> ActionResult:
        """By name and engine."""
        return page("OptionGroupsList", lookups.option_groups(self.backend, self.params), self.params)

    def describe_event_subscriptions(self) -> ActionResult:
        """By name."""
        return page("EventSubscriptionsList", list(self.backend.describe_event_subscriptions(self.params.get("SubscriptionName"))), self.params)

    def create_db_parameter_group(self) -> ActionResult:
        """moto takes any name and any family."""
        refusals.check_new_parameter_group(self.params)
        return super().create_db_parameter_group()

    def modify_db_parameter_group(self) -> ActionResult:
        """As many parameters as RDS takes at once, and libraries that it has."""
        refusals.check_parameters_at_once(self.params.get("Parameters") or [])
        refusals.check_preloaded(self.params.get("Parameters") or [])
        return super().modify_db_parameter_group()

    def delete_db_parameter_group(self) -> ActionResult:
        """Only one that nothing uses."""
        refusals.check_parameter_group_unused(self.backend, self.params["DBParameterGroupName"])
        return super().delete_db_parameter_group()

    def create_db_subnet_group(self) -> ActionResult:
        """moto replaces one that exists."""
        name = self.params["DBSubnetGroupName"]
        if name in self.backend.subnet_groups:
            raise refusals.refuse("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.")
        return super().create_db_subnet_group()

    def delete_db_subnet_group(self) -> ActionResult:
        """Only one that nothing lies in."""
        refusals.check_subnet_group_unused(self.backend, self.params["DBSubnetGroupName"])
        return super().delete_db_subnet_group()

    def create_option_group(self) -> ActionResult:
        """moto knows PostgreSQL up to 13 only."""
        return ActionResult({"OptionGroup": lookups.create_option_group(self.backend, self.params)})

    def delete_option_group(self) -> ActionResult:
        """Only one that nothing uses."""
        refusals.check_option_group_unused(self.backend, self.params["OptionGroupName"])
        return super().delete_option_group()

    def list_tags_for_resource(self) -> ActionResult:
        """moto answers an empty list for what does not exist."""
        lookups.check_resource(self.backend, self.params["ResourceName"])
        return super().list_tags_for_resource()

    def add_tags_to_resource(self) -> ActionResult:
        """The same."""
        lookups.check_resource(self.backend, self.params["ResourceName"])
        return super().add_tags_to_resource()

    def remove_tags_from_resource(self) -> ActionResult:
        """The same."""
        lookups.check_resource(self.backend, self.params["ResourceName"])
        return super().remove_tags_from_resource()

    def create_event_subscription(self) -> ActionResult:
        """To a topic that exists; enabled unless it says otherwise."""
        return ActionResult({"EventSubscription": lookups.create_event_subscription(self.backend, self.params)})
