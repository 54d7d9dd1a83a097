import type { UndoEntry } from '../../contracts/ledger.ts';
import type { RegisteredUndo, RunState } from './run-state.ts';

/**
 * Registers what undoes an attempt of a step. The same again is the same thing to undo. Another under the same id, as
 * another input makes it, is one more, with an id of its own: both attempts may have done something.
 */
export function registerUndo(state: RunState, step: string, declared: UndoEntry): RegisteredUndo {
  const content = JSON.stringify(declared);
  const known = state.undo.find((one) => one.content === content);
  if (known) return Object.assign(known, { isGivenUp: false });
  const taken = new Set(state.undo.map(({ entry }) => entry.id));
  let id = declared.id;
  for (let count = 2; taken.has(id); count += 1) id = `${declared.id}#${count}`;
  const registered: RegisteredUndo = { step, entry: { ...declared, id }, content, isGivenUp: false };
  state.undo.push(registered);
  return registered;
}

/** Ids of what is undone however the run ends: what began and came to no end is nobody's result. */
export function givenUp({ undo }: RunState): string[] {
  return undo.filter(({ isGivenUp }) => isGivenUp).map(({ entry }) => entry.id);
}
