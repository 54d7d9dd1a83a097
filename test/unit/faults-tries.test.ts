import { describe, expect, it } from 'vitest';
import { tryUntilStruck, type Attempt } from '../faults/run-case.ts';

const attempt = (over: Partial<Attempt> = {}): Attempt => ({ struck: false, ended: 'succeeded', problems: [], leftovers: [], twice: [], proof: 'seen', ...over });
const inTurn = (...attempts: Attempt[]) => () => Promise.resolve(attempts.shift() ?? attempt());

describe('a fault case', () => {
  it('is tried again when the fault did not strike a run that ended well', async () => {
    expect(await tryUntilStruck(inTurn(attempt(), attempt({ struck: true })))).toMatchObject({ tries: 2, attempt: { struck: true, problems: [] } });
  });

  it.each([{ problems: ['the guardian is FAILED'] }, { leftovers: ['drill-1'] }, { twice: ['2 pieces of evidence'] }])('keeps what was wrong with a run whose strike was not proven: %j', async (wrong) => {
    expect((await tryUntilStruck(inTurn(attempt(wrong), attempt({ struck: true })))).attempt).toMatchObject(wrong);
  });

  it('fails when the fault never struck, and when a try throws', async () => {
    expect((await tryUntilStruck(inTurn())).attempt.problems).toEqual(['the fault never struck in 4 runs']);
    expect((await tryUntilStruck(() => Promise.reject(new Error('no server')))).attempt.problems).toEqual(['no server']);
  });
});
