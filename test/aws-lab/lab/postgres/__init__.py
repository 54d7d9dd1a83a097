"""Real PostgreSQL servers: made, backed up, archived and recovered."""
