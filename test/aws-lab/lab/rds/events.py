"""RDS events: kept for DescribeEvents, and published to the topics of event subscriptions."""

import json
import threading
from typing import Any

from moto.core.utils import utcnow
from moto.sns.models import sns_backends

# Number, category and message (Amazon RDS user guide, "Amazon RDS event categories and event messages").
EVENTS: dict[str, tuple[str, list[str], str]] = {
    "backing up": ("RDS-EVENT-0001", ["backup"], "Backing up DB instance"),
    "backed up": ("RDS-EVENT-0002", ["backup"], "Finished DB Instance backup"),
    "deleted": ("RDS-EVENT-0003", ["deletion"], "DB instance deleted"),
    "shut down": ("RDS-EVENT-0004", ["availability"], "DB instance shutdown"),
    "created": ("RDS-EVENT-0005", ["creation"], "DB instance created"),
    "restarted": ("RDS-EVENT-0006", ["availability"], "DB instance restarted"),
    "storage-full": ("RDS-EVENT-0007", ["low storage"], "Allocated storage has been exhausted. {0}"),
    "credentials": ("RDS-EVENT-0016", ["configuration change"], "Reset master credentials"),
    "restored to time": ("RDS-EVENT-0019", ["restoration"], "Restored from DB instance {0} to {1}"),
    "failed": ("RDS-EVENT-0031", ["failure"], "DB instance put into failed state. {0}"),
    "incompatible-restore": ("RDS-EVENT-0031", ["failure"], "DB instance put into incompatible-restore state. {0}"),
    "incompatible-parameters": ("RDS-EVENT-0035", ["failure"], "Database instance put into incompatible-parameters. {0}"),
    "incompatible-network": ("RDS-EVENT-0036", ["failure"], "Database instance in incompatible-network. {0}"),
    "creating snapshot": ("RDS-EVENT-0040", ["creation"], "Creating manual snapshot"),
    "snapshot deleted": ("RDS-EVENT-0041", ["deletion"], "Deleted manual snapshot"),
    "snapshot created": ("RDS-EVENT-0042", ["creation"], "Manual snapshot created"),
    "restored from snapshot": ("RDS-EVENT-0043", ["restoration"], "Restored from snapshot {0}"),
    "creating automated snapshot": ("RDS-EVENT-0090", ["creation"], "Creating automated snapshot"),
    "automated snapshot created": ("RDS-EVENT-0091", ["creation"], "Automated snapshot created"),
    "copying snapshot": ("RDS-EVENT-0059", ["notification"], "Started copy of snapshot {0} from region {1}"),
    "snapshot copied": ("RDS-EVENT-0060", ["notification"], "Finished copy of snapshot {0} from region {1} in 0 minutes"),
}

LINKS = {"db-instance": "dbinstance", "db-snapshot": "snapshot"}


class LabEvent:
    """One event, with the attributes that moto's serializer looks for."""

    def __init__(self, resource: Any, kind: str, values: tuple[str, ...]) -> None:
        self.event_id, self.event_categories, template = EVENTS[kind]
        self.message = template.format(*values).strip()
        self.source_identifier = resource.resource_id
        self.source_type = resource.event_source_type
        self.source_arn = resource.arn
        self.date = utcnow()


def tell(backend: Any, resource: Any, kind: str, *values: str) -> None:
    """Records an event and publishes it to whoever subscribed to it."""
    event = LabEvent(resource, kind, values)
    with backend.lab.lock:
        backend.events.append(event)
        wanted = [one for one in backend.event_subscriptions.values() if _wants(one, event)]
    delay = backend.lab.settings.seconds("deliverEvent")
    if wanted and delay > 0:
        timer = threading.Timer(delay, _publish, (backend, wanted, event))
        timer.daemon = True
        timer.start()
    else:
        _publish(backend, wanted, event)


def matching(events: list[LabEvent], params: Any) -> list[LabEvent]:
    """Those that DescribeEvents asks for; an hour back unless it says otherwise."""
    end = _naive(params.get("EndTime")) or utcnow()
    start = _naive(params.get("StartTime"))
    minutes = int(params.get("Duration") or 60)
    found = [event for event in events if (event.date >= start if start else (end - event.date).total_seconds() <= minutes * 60) and event.date <= end]
    for name, attribute in (("SourceIdentifier", "source_identifier"), ("SourceType", "source_type")):
        if params.get(name):
            found = [event for event in found if getattr(event, attribute) == params[name]]
    categories = set(params.get("EventCategories") or [])
    return [event for event in found if not categories or categories.intersection(event.event_categories)]


def _naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if value is not None else None


def _wants(subscription: Any, event: LabEvent) -> bool:
    if not subscription.enabled or subscription.source_type not in (None, event.source_type):
        return False
    if subscription.source_ids and event.source_identifier not in subscription.source_ids:
        return False
    return not subscription.event_categories or bool(set(subscription.event_categories).intersection(event.event_categories))


def _publish(backend: Any, subscriptions: list[Any], event: LabEvent) -> None:
    for subscription in subscriptions:
        region, account = subscription.sns_topic_arn.split(":")[3:5]
        message = {
            "Event Source": event.source_type,
            "Event Time": event.date.strftime("%Y-%m-%d %H:%M:%S.") + f"{event.date.microsecond // 1000:03d}",
            "Identifier Link": f"https://console.aws.amazon.com/rds/home?region={backend.region_name}#{LINKS[event.source_type]}:id={event.source_identifier}",
            "Source ID": event.source_identifier,
            "Source ARN": event.source_arn,
            "Event ID": f"http://docs.amazonwebservices.com/AmazonRDS/latest/UserGuide/USER_Events.html#{event.event_id}",
            "Event Message": event.message,
        }
        attributes = {
            "EventID": {"Type": "String", "Value": event.event_id},
            "Resource": {"Type": "String", "Value": event.source_arn},
        }
        with backend.lab.lock:
            topic = sns_backends[account][region].topics.get(subscription.sns_topic_arn)
            if topic is not None:
                topic.publish(json.dumps(message), subject="RDS Notification Message", message_attributes=attributes)
