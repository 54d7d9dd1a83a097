import { z } from 'zod';

/** What a drill sets itself, for its isolation and recovery, and what would lead its server to other files. */
const RESERVED: readonly string[] = [
  'archive_mode', 'archive_command', 'archive_library', 'archive_cleanup_command', 'recovery_end_command', 'primary_conninfo', 'primary_slot_name', 'sync_replication_slots', 'event_triggers',
  'max_logical_replication_workers', 'shared_preload_libraries', 'session_preload_libraries', 'local_preload_libraries', 'listen_addresses', 'ssl', 'port', 'unix_socket_directories',
  'unix_socket_permissions', 'hba_file', 'ident_file', 'external_pid_file', 'logging_collector', 'log_destination', 'max_connections', 'max_worker_processes', 'max_wal_senders',
  'max_prepared_transactions', 'max_locks_per_transaction', 'max_replication_slots', 'max_active_replication_origins', 'wal_level', 'hot_standby', 'fsync', 'full_page_writes', 'synchronous_commit',
  'synchronous_standby_names', 'autovacuum', 'client_connection_check_interval', 'lc_messages', 'log_line_prefix', 'log_min_error_statement', 'dynamic_shared_memory_type', 'restore_command', 'wal_recycle',
  'config_file', 'data_directory', 'include', 'include_dir', 'include_if_exists', 'promote_trigger_file', 'unix_socket_group',
];
/** Only one target of recovery may be named. */
const RECOVERY_TARGET = 'recovery_target';

/** Whether a setting is the drill's own, or would lead it to other files. In any case of letters, as PostgreSQL reads names. */
export function isReserved(name: string): boolean {
  const folded = name.toLowerCase();
  return RESERVED.includes(folded) || folded.startsWith(RECOVERY_TARGET);
}

/** Settings of PostgreSQL for the copy, by name in small letters. */
export const drillSettingsSchema = z.record(z.string(), z.string()).transform((given, context) => {
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const folded = name.toLowerCase();
    const message = !/^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)?$/.test(folded) ? 'is no name of a setting'
      : isReserved(folded) ? "belongs to the drill's isolation or recovery and cannot be configured; leave it out"
        : /[\r\n\0]/.test(value) ? 'holds a line break'
          : folded in settings ? 'is there twice' : undefined;
    if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message });
    settings[folded] = value;
  }
  return settings;
});
