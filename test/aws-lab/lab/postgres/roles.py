"""What RDS gives to a new instance: rdsadmin, its database, the rds_ roles, and a master user who is no superuser."""

from pg8000.native import Connection, identifier, literal

# As in RDS: superuser and owner of what belongs to the service. Reachable over the lab's private socket only.
ADMIN = "rdsadmin"
ADMIN_DATABASE = "rdsadmin"

# What rds_superuser may hand on. Some are of newer versions of PostgreSQL than others.
MEMBERSHIPS = ("pg_monitor", "pg_signal_backend", "pg_read_all_data", "pg_write_all_data", "pg_checkpoint", "rds_replication", "rds_password")

# Nobody reaches rdsadmin or its database over TCP, and nobody else the socket.
HOST_BASED_ACCESS = f"""\
local all         {ADMIN} trust
local all         all      reject
host  {ADMIN_DATABASE}    all      all          reject
host  all         {ADMIN} all          reject
host  replication all      all          reject
host  all         all      127.0.0.1/32 scram-sha-256
"""


def prepare(admin: Connection, master: str, password: str) -> None:
    """Makes the roles; `admin` is connected as rdsadmin."""
    for role in ("rds_superuser", "rds_replication", "rds_password", "rds_iam"):
        admin.run(f"CREATE ROLE {role} NOLOGIN")
    known = {name for (name,) in admin.run("SELECT rolname FROM pg_roles")}
    for role in MEMBERSHIPS:
        if role in known:
            admin.run(f"GRANT {role} TO rds_superuser WITH ADMIN OPTION")
    admin.run(f"CREATE ROLE {identifier(master)} LOGIN CREATEDB CREATEROLE REPLICATION PASSWORD {literal(password)} VALID UNTIL 'infinity'")
    admin.run(f"GRANT rds_superuser TO {identifier(master)}")
    admin.run(f"ALTER DATABASE postgres OWNER TO {identifier(master)}")
    admin.run(f"CREATE DATABASE {ADMIN_DATABASE}")


def create_database(admin: Connection, name: str, master: str) -> None:
    """Makes the database that CreateDBInstance names."""
    admin.run(f"CREATE DATABASE {identifier(name)} OWNER {identifier(master)}")


def prepare_heartbeat(admin: Connection) -> None:
    """In the database of rdsadmin; RDS, too, writes a little all the time, so that there is always a later commit to recover to."""
    admin.run("CREATE TABLE rds_heartbeat2 (id int PRIMARY KEY, value timestamptz NOT NULL)")
    admin.run("INSERT INTO rds_heartbeat2 VALUES (1, now())")


def set_password(admin: Connection, role: str, password: str) -> None:
    """Gives a role another password: one caller after another, as PostgreSQL refuses two at a time ("tuple concurrently updated")."""
    admin.run("BEGIN")
    admin.run("SELECT pg_advisory_xact_lock(hashtext('password of a role'))")
    admin.run(f"ALTER ROLE {identifier(role)} PASSWORD {literal(password)}")
    admin.run("COMMIT")
