import { describe, expect, it } from 'vitest';
import { lockStateSchema } from '../../contracts/internal-messages.ts';
import type { Priority } from '../../contracts/priority.ts';
import { adopt, EMPTY_LOCK, enqueue, happen, happened, LARGEST_LOCK, measuring, remove, type LockState } from '../../contracts/lock-state.ts';
import { grantNext } from '../../workflows/lock/queue.ts';

const request = (guardianId: string, runbook: string, sharesTargetWith: string[] = [], priority: Priority = 'normal') => ({
  priority,
  guardianId, runbook, sharesTargetWith, owner: { workflowId: guardianId, firstExecutionRunId: guardianId }, requestedAtMs: 0,
});
const ask = (state: LockState, ...requests: ReturnType<typeof request>[]) => grantNext(requests.reduce((queue, wanted) => enqueue(queue, wanted), state), 1);

describe('the queue of a lock', () => {
  it('grants one of two that exclude each other, and the next after its release, with a higher fence', () => {
    const first = ask(EMPTY_LOCK, request('a', 'dr-test'), request('b', 'dr-test'));
    expect(first.granted.map((grant) => [grant.guardianId, grant.fence])).toEqual([['a', 1]]);
    const second = grantNext(remove(first.state, 'a'), 2);
    expect(second.granted.map((grant) => [grant.guardianId, grant.fence])).toEqual([['b', 2]]);
  });
  it('has room for a thousand guardians, and never for more than can be carried on in one payload: who comes then asks again', () => {
    const measure = measuring();
    const queue = (length: number, id: (index: number) => string) => Array.from({ length }, (_, index) => request(id(index), 'dr-test')).reduce((state, wanted) => enqueue(state, wanted, measure), EMPTY_LOCK);
    expect(queue(1_000, (index) => `guardian/dr-test/shop/20261130T00${index}Z/01a22994-d31a-7801-8dee-${index}`).waiting).toHaveLength(1_000);
    const flooded = queue(200, (index) => '\u0001'.repeat(990) + String(index));
    expect(JSON.stringify(flooded).length).toBeLessThan(LARGEST_LOCK + 1_000);
    const [first] = flooded.waiting;
    const after = enqueue(remove(flooded, first!.guardianId), request('late', 'dr-test'));
    expect([enqueue(flooded, request('\u0001'.repeat(990), 'dr-test')).waiting.length, after.waiting.at(-1)?.guardianId]).toEqual([flooded.waiting.length, 'late']);
  });
  it('is measured as it is written down', () => {
    const measure = measuring();
    const states = [EMPTY_LOCK, enqueue(EMPTY_LOCK, request('a', 'x')), ask(EMPTY_LOCK, request('a', 'x', ['y', 'z']), request('b', 'y'), request('c', 'x'), request('\u0001\u4E00"', 'x')).state];
    for (const state of [...states, ...states]) expect(measure(state, request('d', 'x'))).toBe(JSON.stringify([state, request('d', 'x')]).length);
  });
  it('grants a backup beside a drill, whichever of them says that they share', () => {
    expect(ask(EMPTY_LOCK, request('a', 'dr-test', ['backup']), request('b', 'backup')).granted).toHaveLength(2);
    expect(ask(EMPTY_LOCK, request('a', 'dr-test'), request('b', 'backup', ['dr-test'])).granted).toHaveLength(2);
  });
  it('lets nobody overtake one that must wait', () => {
    const { granted, state } = ask(EMPTY_LOCK, request('a', 'backup', ['dr-test']), request('b', 'deploy'), request('c', 'dr-test', ['backup']));
    expect(granted.map((grant) => grant.guardianId)).toEqual(['a']);
    expect(state.waiting.map((waiting) => waiting.guardianId)).toEqual(['b', 'c']);
  });
  it('puts a recovery before all others that wait, behind recoveries that came before, and ends nobody', () => {
    const { granted, state: held } = ask(EMPTY_LOCK, request('a', 'x'));
    const { granted: none, state } = ask(held, request('b', 'x'), request('r1', 'x', [], 'recovery'), request('c', 'x'), request('r2', 'x', [], 'recovery'));
    expect([granted.map((grant) => grant.guardianId), none]).toEqual([['a'], []]);
    expect(state.waiting.map((waiting) => waiting.guardianId)).toEqual(['r1', 'r2', 'b', 'c']);
  });
  it('goes on with what a lock held that was ended by force, and with fences that only rise', () => {
    const former = ask({ ...EMPTY_LOCK, nextFence: 7 }, request('a', 'x'), request('b', 'x')).state;
    const since = [request('b', 'x'), request('c', 'x')].reduce((queue, wanted) => enqueue(queue, wanted), EMPTY_LOCK);
    const begun = adopt(since, former, 5);
    expect([begun.nextFence, begun.holders.map((holder) => holder.guardianId), begun.waiting.map((waiting) => waiting.guardianId)]).toEqual([8, ['a'], ['b', 'c']]);
    expect(grantNext(begun, 2).granted).toEqual([]);
    expect(grantNext(remove(begun, 'a'), 2).granted.map(({ guardianId, fence }) => [guardianId, fence])).toEqual([['b', 8]]);
    expect(adopt(since, null, 5)).toEqual({ ...since, nextFence: 5 });
    expect(adopt(since, former, 1_000).nextFence).toBe(1_000);
  });
  it('is the same when what happened to it is told by its history', () => {
    const asked = [request('a', 'x'), request('b', 'x'), request('r', 'x', [], 'recovery')];
    const first = ask(EMPTY_LOCK, ...asked);
    const next = grantNext(remove(first.state, 'r'), 2);
    const granted = ({ granted: [grant] }: typeof first) => ({ granted: { guardianId: grant!.guardianId, fence: grant!.fence, grantedAtMs: grant!.grantedAtMs } });
    const told = [...asked.map((requested) => ({ requested })), granted(first), granted(first), { released: 'r' }, granted(next)];
    expect(happened(EMPTY_LOCK, told)).toEqual(next.state);
    // What one had asked for whose former lock nobody knows any more.
    expect(happen(EMPTY_LOCK, granted(next))).toEqual({ ...EMPTY_LOCK, nextFence: 3 });
  });
  it('takes the same request twice as one', () => {
    const { state } = ask(EMPTY_LOCK, request('a', 'dr-test'), request('a', 'dr-test'), request('b', 'dr-test'), request('b', 'dr-test'));
    expect([state.holders.length, state.waiting.length]).toEqual([1, 1]);
  });
  it('forgets a holder or a waiter that is removed, and nobody else', () => {
    const { state } = ask(EMPTY_LOCK, request('a', 'x'), request('b', 'x'), request('c', 'x'));
    expect(remove(state, 'b').waiting.map((waiting) => waiting.guardianId)).toEqual(['c']);
    expect(remove(state, 'zzz')).toEqual(state);
  });
  it('is carried into the next execution of the lock as it is', () => {
    const { state } = ask(EMPTY_LOCK, request('a', 'x', ['y']), request('b', 'y'), request('c', 'x'));
    expect([state.holders.length, state.waiting.length]).toEqual([2, 1]);
    for (const carried of [EMPTY_LOCK, state]) expect(lockStateSchema.parse(JSON.parse(JSON.stringify(carried)))).toEqual(carried);
  });
});
