import { insufficientPrivilege, lockNotAvailable, lockRefused, saysNothingOfTheData, sqlState } from '../errors.ts';

/** Somebody has locked something at the source for longer than may be waited for. */
export class LockedAtSource extends Error {
  readonly code = lockNotAvailable;
}

/**
 * What is asked of the source. What it cannot read is no finding about the copy: such an error says whose it is, and has no state
 * by which the copy would be judged. What it does not let us read stays what it is.
 */
export async function ofSource<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    const state = sqlState(error);
    if (lockRefused.has(state)) throw new LockedAtSource('locked at the source', { cause: error });
    if (state === insufficientPrivilege || saysNothingOfTheData(error)) throw error;
    // Only what the storage says may be quoted: other messages can hold values of rows.
    throw new Error(`the source could not read it (${state})${/^(XX|58)/.test(state) ? `: ${(error as Error).message}` : ''}`);
  });
}
