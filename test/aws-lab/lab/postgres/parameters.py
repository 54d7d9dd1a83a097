"""From a DB parameter group to settings of a server."""

from typing import Any, Mapping

# What a server of the lab runs with unless a parameter group says otherwise: RDS with rds.logical_replication = 1, but small.
DEFAULTS: dict[str, str] = {
    "max_connections": "100",
    "max_prepared_transactions": "20",
    "max_worker_processes": "8",
    "max_locks_per_transaction": "64",
    "max_replication_slots": "20",
    "max_wal_senders": "25",
    "shared_buffers": "32MB",
    "wal_level": "logical",
}

# Recovery stops when one of these is lower than it was on the source.
NOT_LOWER_THAN_SOURCE = ("max_connections", "max_prepared_transactions", "max_worker_processes", "max_locks_per_transaction", "max_wal_senders")

# The lab's own business: a group that could change them would take the server away from it.
KEPT_BY_RDS = {
    "archive_command", "archive_mode", "data_directory", "fsync", "full_page_writes", "hba_file", "ident_file", "listen_addresses", "port",
    "restore_command", "unix_socket_directories",
}


def effective(group: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The settings that a parameter group stands for; those of RDS alone (`rds.…`) are translated or left out."""
    settings = dict(DEFAULTS)
    for name, parameter in group.items():
        value = parameter.get("ParameterValue")
        if value is None or name in KEPT_BY_RDS or "." in name and name.startswith("rds."):
            continue
        settings[name] = str(value)
    logical = group.get("rds.logical_replication", {}).get("ParameterValue")
    if logical is not None:
        settings["wal_level"] = "logical" if str(logical) in ("1", "on", "true") else "replica"
    return settings


def recoverable(settings: Mapping[str, str], source: Mapping[str, str]) -> dict[str, str]:
    """The settings, with none lower than recovery of that source's WAL needs."""
    raised = {name: str(max(int(settings[name]), int(source[name]))) for name in NOT_LOWER_THAN_SOURCE}
    return {**settings, **raised}
