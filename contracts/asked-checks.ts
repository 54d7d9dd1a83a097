import type { Check } from './evidence.ts';

/** Name of the check that the application probe is. */
export const PROBE_CHECK = 'application probe';

/** Name of the check that holds a heartbeat table against the WAL. */
export function heartbeatCheckName(table: string): string {
  return `heartbeat ${table}`;
}

/**
 * Whether a check of a restore test is one that the configuration asks for beside the comparison: an own one, the probe
 * or the heartbeat. A plan is an open field of the evidence: one of another form asked for none.
 */
export function isAskedFor(plan: unknown, { name }: Pick<Check, 'name'>): boolean {
  const { checks, heartbeat } = (plan ?? {}) as { checks?: unknown; heartbeat?: { table?: unknown } | null };
  if (name === PROBE_CHECK || (typeof heartbeat?.table === 'string' && name === heartbeatCheckName(heartbeat.table))) return true;
  return Array.isArray(checks) && checks.some((check: unknown) => (check as { name?: unknown } | null)?.name === name);
}
