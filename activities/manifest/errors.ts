import { libraryTrouble } from '../postgres/library-trouble.ts';
import { hasBrokenOff } from '../postgres/unreachable.ts';

/** Why no manifest could be taken or compared; activities classify by this, never by the message. */
export type ManifestErrorType =
  | 'unavailable' | 'cancelled' | 'permission' | 'locked' | 'slotBlocked' | 'snapshotTooOld' | 'tooMuchWalRetained' | 'neverQuiet' | 'inTheWay' | 'undecodable' | 'unreadable' | 'wrongDatabase';

/** An error of the manifest engine, with a `type` to branch on and one clear sentence that says what to change. */
export class ManifestError extends Error {
  readonly type: ManifestErrorType;
  constructor(type: ManifestErrorType, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ManifestError';
    this.type = type;
  }
}

/** Classes begin with a digit, F, H, P or X; the system's own codes, such as EPIPE, do not. */
const SQLSTATE = /^[0-9FHPX][0-9A-Z]{4}$/;

/** The SQLSTATE of an error of PostgreSQL, or '' when it is none. */
export function sqlState(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' && SQLSTATE.test(error.code) ? error.code : '';
}

/**
 * Table, schema, column or type went away or another took its name: definitions moved while we read. A column is of another type
 * (42804), it is no table any more (42809), but a view, which the session is told to refuse, or a materialized view without contents (55000).
 */
export const definitionMoved: ReadonlySet<string> = new Set(['42P01', '3F000', '42703', '42704', '42804', '42809', '55000']);
/** Somebody had a lock for longer than `lock_timeout`, or than NOWAIT waits. SQLSTATEs: PostgreSQL's documentation, appendix A. */
export const lockNotAvailable = '55P03';
/** Somebody else has a lock, or would have waited for us while we wait for them (deadlock_detected): it may be free later. */
export const lockRefused: ReadonlySet<string> = new Set([lockNotAvailable, '40P01']);
/** The role lacks a right: it is for people to grant, and waiting does not help. */
export const insufficientPrivilege = '42501';
/** A limit of the configuration was reached, such as temp_file_limit. */
export const limitReached = '53400';
/** Bytes that are no text in the encoding of the database, or that UTF-8, in which we read, has no character for: character_not_in_repertoire, untranslatable_character. */
export const undecodable: ReadonlySet<string> = new Set(['22021', '22P05']);
/** What PostgreSQL would do at another moment. */
export const serializationFailure = '40001';
/** By statement_timeout, or by somebody. */
export const queryCanceled = '57014';
/** By transaction_timeout, which ends the connection too. */
export const transactionTimeout = '25P04';

/**
 * The connection or the server went away (08, 57), the host has no disk, memory or connection left (53), its storage
 * failed (58030, io_error: every file's hash was verified when it was copied), somebody holds a lock (55P03).
 */
const HOST_TROUBLE = /^(08|57|53|58030|55P03)/;

/** Whether PostgreSQL said that the connection or the host failed, not the statement. */
export function isHostTrouble(error: unknown): boolean {
  return HOST_TROUBLE.test(sqlState(error));
}

/** Whether a session has ended: the process behind it crashed, which goes without a word, or PostgreSQL ended it, as it does all others then (57P02), or an administrator did. */
export function sessionIsOver(error: unknown): boolean {
  return hasBrokenOff(error) || sqlState(error).startsWith('57P');
}

/**
 * What a statement cannot be right with, however often it is tried: something that PostgreSQL does not have (0A, 42), a
 * value that a function refuses (21, 22, 2F, 38, 39, P0), a size beyond its limits (54). Not so damage, which is worth an alarm.
 */
const REFUSED_FOR_GOOD = /^(0A|2[12F]|3[89]|42|54|P0)/;

/** Whether PostgreSQL cannot read something as it is asked to, now and later, though nothing is damaged. */
export function cannotBeRead(error: unknown): boolean {
  // What the host lacks for a moment is tried again, also where a library is loaded.
  if (!isHostTrouble(error) && libraryTrouble(error) !== undefined) return true;
  const state = sqlState(error);
  return REFUSED_FOR_GOOD.test(state) && state !== insufficientPrivilege && !definitionMoved.has(state) && !undecodable.has(state);
}

/** Whether a query failed for a reason that says nothing about the data it read, so that it is to be tried again. */
export function saysNothingOfTheData(error: unknown): boolean {
  return sqlState(error) === '' || isHostTrouble(error);
}
