/**
 * What stands for an argument that cannot be decoded. Anybody who can reach the server can send one, with the web UI's own
 * forms: an exception there, before any schema, would fail the workflow's task for ever. Every schema of ours refuses it.
 */
export interface Unreadable { unreadable: string }

/** Why a value could not be decoded, as the end of a sentence; null for anything else. */
export function whyUnreadable(value: unknown): string | null {
  const reason = typeof value === 'object' && value !== null && Object.keys(value).length === 1 ? (value as Partial<Unreadable>).unreadable : undefined;
  return typeof reason === 'string' ? reason : null;
}
