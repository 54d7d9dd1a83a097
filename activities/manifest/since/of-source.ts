import { insufficientPrivilege, lockNotAvailable, lockRefused, saysNothingOfTheData, sqlState } from '../errors.ts';

/** Somebody has locked something at the source for longer than may be waited for. */
export class LockedAtSource extends Error {
  readonly code = lockNotAvailable;
}

/** Something of the source that it cannot read itself, by its SQLSTATE. */
export type SourceUnread = `the source cannot read it (${string})`;

/** The source could not read what it was asked for; no finding about the copy, which has no state here by which it would be judged. */
export class SourceUnreadable extends Error {
  readonly obstacle: SourceUnread;
  constructor(error: unknown) {
    const state = sqlState(error);
    // Only what the storage says may be quoted: other messages can hold values of rows.
    super(`the source could not read it (${state})${/^(XX|58)/.test(state) ? `: ${(error as Error).message}` : ''}`);
    this.name = 'SourceUnreadable';
    this.obstacle = `the source cannot read it (${state})`;
  }
}

/**
 * What is asked of the source. What it does not let us read stays what it is.
 * @throws {SourceUnreadable} where it cannot read it
 */
export async function ofSource<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    const state = sqlState(error);
    if (lockRefused.has(state)) throw new LockedAtSource('locked at the source', { cause: error });
    throw error instanceof SourceUnreadable || state === insufficientPrivilege || saysNothingOfTheData(error) ? error : new SourceUnreadable(error);
  });
}

/** Why rows of one table cannot be held against the source that has them; throws what is of the source as a whole. */
export function whatHinders(error: unknown): 'source not readable' | SourceUnread {
  if (error instanceof SourceUnreadable) return error.obstacle;
  if (sqlState(error) === insufficientPrivilege) return 'source not readable';
  throw error;
}
