import { describe, expect, expectTypeOf, it } from 'vitest';
import { finishSchema, grantedSchema, guardianInputSchema, lockRequestSchema, lockStateSchema, overdueSchema, ownedSchema, releaseSchema, settledSchema, takeSchema } from '../../contracts/internal-messages.ts';
import type { SignalHandler } from '../../workflows/procedure/signals.ts';

const owner = { workflowId: 'toy/shop/1', firstExecutionRunId: 'a' };
const request = { guardianId: 'guardian/toy/shop/1/a', owner, runbook: 'toy', sharesTargetWith: ['other'], requestedAtMs: 1_795_000_000_000, priority: 'normal' };
const grant = { ...request, fence: 4, grantedAtMs: 1_795_000_000_001 };
const place = { title: 'box', input: { root: '/tmp' }, taskQueue: 'runbooks@host', open: 'openBox', close: 'closeBox', prove: 'proveBoxAbsent' };
const take = { place, asking: 'b', runId: 'c' };
const owned = { owner, fence: 4, leaseExpiresAtMs: 1_795_000_000_000, asking: 'b' };
const guardian = { owner, runbook: 'toy', target: 'shop', sharesTargetWith: [], lease: { maximumMs: 1_000, hostLossMs: 1_000 } };

const at = '2026-11-30T00:00:00.000Z';
const compensation = { id: 'one', step: 'one', title: 'one', outcome: 'done', startedAt: at, finishedAt: at, detail: null };
const settled = { owner, compensations: [compensation], teardown: { outcome: 'done', provenAbsent: true, leaseExpiresAt: at, destroyed: [], proofs: [] } };

const LONG = 'ü'.repeat(501);
const MANY = Array.from({ length: 21 }, () => 'toy');

describe('what would make the server refuse a command, or a date that is none, is no message', () => {
  it.each([
    ['an id that is too long to signal', lockRequestSchema, request, [{ guardianId: LONG }, { guardianId: '' }, { owner: { ...owner, workflowId: LONG } }]],
    ['a request that is too large to be carried on', lockRequestSchema, request, [{ runbook: 'x'.repeat(101) }, { runbook: '\u0001' }, { sharesTargetWith: MANY }, { sharesTargetWith: ['x'.repeat(101)] }]],
    ['an instant of a request', lockRequestSchema, request, [{ requestedAtMs: 1e300 }, { requestedAtMs: -1e300 }, { requestedAtMs: 8.64e15 + 1 }]],
    ['the end of a lease', ownedSchema, owned, [{ leaseExpiresAtMs: 1e300 }, { leaseExpiresAtMs: -1 }]],
    ['an activity or a task queue', takeSchema, take, [...['open', 'close', 'prove'].flatMap((name) => ['', 'x'.repeat(101), 'a b'].map((value) => ({ place: { ...place, [name]: value } }))), ...['', LONG, '/_sys/x', 'temporal-sys-x', 'nobody'].map((taskQueue) => ({ place: { ...place, taskQueue } }))]],
    ['an input that fits into no payload with what is added to it', takeSchema, take, [{ place: { ...place, input: { text: 'x'.repeat(100_000) } } }]],
    ['a lease of a guardian that is started by hand', guardianInputSchema, guardian, [{ lease: { maximumMs: 1e300, hostLossMs: 1 } }, { lease: { maximumMs: 1, hostLossMs: -1 } }]],
    ['a fence that cannot be counted on', grantedSchema, { fence: 1 }, [{ fence: 1e13 }, { fence: Number.MAX_SAFE_INTEGER }, { fence: 0 }]],
    ['channels that are more than a run may start workflows for, or longer than an id', guardianInputSchema, guardian, [{ alarm: ['x'.repeat(101)] }, { alarm: Array.from({ length: 21 }, () => 'x') }]],
    ['a release of what can be no guardian', releaseSchema, { guardianId: 'guardian/a' }, [{ guardianId: LONG }, { guardianId: '' }]],
    ['a settlement that makes evidence larger than a payload', settledSchema, settled, [{ compensations: [{ ...compensation, detail: 'x'.repeat(500_000) }] }]],
    ['a list of what is to be undone', finishSchema, { outcome: 'failed' }, [{ undoAnyway: Array.from({ length: 10_001 }, () => 'one') }]],
  ])('%s', (_what, schema, good, changes) => {
    expect(schema.safeParse(good).success).toBe(true);
    for (const change of changes) expect(schema.safeParse({ ...good, ...change }).success, JSON.stringify(change).slice(0, 100)).toBe(false);
  });
});

it('the longest id that a server takes is one', () => {
  expect(lockRequestSchema.safeParse({ ...request, guardianId: 'ü'.repeat(500) }).success).toBe(true);
});

it('words are shortened, since whoever waits for them would wait for ever', () => {
  const words = 'x'.repeat(20_000);
  expect([ownedSchema.parse({ ...owned, refused: words }).refused?.length, overdueSchema.parse({ owner, reason: words }).reason.length, takeSchema.parse({ ...take, place: { ...place, title: words } }).place?.title.length]).toEqual([10_000, 10_000, 10_000]);
});

it('of the state of a lock, what cannot be is dropped, and who else holds the target or waits is not forgotten', () => {
  const bad = { ...request, guardianId: LONG };
  expect(lockStateSchema.parse({ nextFence: 5, holders: [grant, { ...grant, grantedAtMs: 1e300 }, null], waiting: [bad, request, 'nobody'] })).toEqual({ nextFence: 5, holders: [grant], waiting: [request] });
  expect(lockStateSchema.safeParse({ nextFence: 5, holders: {}, waiting: [] }).success).toBe(false);
  expect(lockStateSchema.safeParse({ nextFence: Number.MAX_SAFE_INTEGER, holders: [], waiting: [] }).success).toBe(false);
});

it('no handler of a signal is asynchronous, since nobody waits for one', () => {
  expectTypeOf<() => undefined>().toExtend<SignalHandler>();
  expectTypeOf<() => Promise<void>>().not.toExtend<SignalHandler>();
});
