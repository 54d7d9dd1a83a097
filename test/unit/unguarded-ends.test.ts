import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { lookBackMs, retentionMs } from '../../activities/kernel/retention.ts';
import { ASKED_AT_ONCE, createEndWatch } from '../../activities/kernel/unguarded-ends.ts';
import type { Configuration } from '../../contracts/configuration.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

it('one looks back as far as the server surely knows all, and a day\'s worth where it does not say', () => {
  expect([DAY_MS, 3 * DAY_MS, 30 * DAY_MS, null].map((retention) => lookBackMs(retention) / HOUR_MS)).toEqual([20, 68, 716, 20]);
  expect([2 * HOUR_MS, 6 * HOUR_MS, 8 * HOUR_MS].map((retention) => lookBackMs(retention) / HOUR_MS)).toEqual([1, 3, 4]);
});

/** What a server answers with a gRPC code. */
const refusal = (code: number) => Object.assign(new Error('refused'), { code, details: 'refused', metadata: {} });

it('what a server does not say, or not to this principal, is no number', async () => {
  const says = (describeNamespace: () => Promise<unknown>) => retentionMs({ workflowService: { describeNamespace } } as unknown as Client, 'default');
  const seconds = (value: unknown) => says(() => Promise.resolve({ config: { workflowExecutionRetentionTtl: { seconds: value } } }));
  expect(await Promise.all([seconds(259_200), seconds('86400'), seconds(0), seconds(null), says(() => Promise.resolve({ config: null })), says(() => Promise.reject(refusal(7)))]))
    .toEqual([3 * DAY_MS, DAY_MS, null, null, null, null]);
  await expect(says(() => Promise.reject(refusal(14))), 'a server that does not answer now').rejects.toThrow('refused');
});

describe('the watch for runs that were ended by force', () => {
  /** A server that lists these runs, newest first, and has forgotten all else of them, or refuses to tell. */
  function serverWith({ closedHoursAgo, retentionHours }: { closedHoursAgo: Record<string, number>; retentionHours: number | 'away' | null }) {
    const server = { nowMs: Date.UTC(2026, 10, 29), retentionHours, lists: [] as number[], asked: [] as string[], refused: new Set<string>(), described: 0, failed: '' };
    const begunMs = server.nowMs;
    const client = {
      options: { namespace: 'default' },
      workflow: {
        list: async function* ({ query }: { query: string }) {
          const sinceMs = Date.parse(/CloseTime > '(.*)'/.exec(query)?.[1] ?? '');
          server.lists.push((server.nowMs - sinceMs) / HOUR_MS);
          for (const [runId, hours] of Object.entries(closedHoursAgo)) {
            const closeTime = new Date(begunMs - hours * HOUR_MS);
            if (closeTime.getTime() > sinceMs) yield await Promise.resolve({ workflowId: `of ${runId}`, runId, closeTime });
          }
        },
        getHandle: (workflowId: string, runId: string) => ({
          describe: () => {
            server.asked.push(runId);
            return Promise.reject(server.refused.has(runId) ? new Error(`${runId} is refused`) : new WorkflowNotFoundError('gone', workflowId, runId));
          },
        }),
      },
      workflowService: {
        describeNamespace: () => {
          server.described += 1;
          if (server.retentionHours === 'away') return Promise.reject(refusal(14));
          return server.retentionHours === null ? Promise.reject(refusal(7)) : Promise.resolve({ config: { workflowExecutionRetentionTtl: { seconds: server.retentionHours * 3_600 } } });
        },
      },
    } as unknown as Client;
    const watch = createEndWatch({ client, configuration: {} as Configuration, types: ['toy'], now: () => server.nowMs });
    /** What it asks about in one look. */
    const look = async (afterHours = 0) => {
      server.nowMs += afterHours * HOUR_MS;
      server.asked = [];
      server.failed = await watch().then(() => '', (error: Error) => error.message);
      return server.asked;
    };
    return { server, look };
  }

  it('looks back as far as the server keeps what ended, which it asks once an hour, and in between at what ended of late', async () => {
    const { server, look } = serverWith({ closedHoursAgo: {}, retentionHours: 72 });
    await look();
    server.retentionHours = 24;
    for (const hours of [0.5, 0.4, 0.2]) await look(hours);
    server.retentionHours = null;
    await look(1);
    server.retentionHours = 2;
    for (const hours of [1, 0.1]) await look(hours);
    expect(server.lists).toEqual([68, 4, 4, 20, 20, 1, 1]);
    expect(server.described).toBe(4);
  });

  it('asks about a hundred at once, those first that it has not asked about, and of them the newest', async () => {
    const { server, look } = serverWith({ closedHoursAgo: Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`r${index}`, index / 10])), retentionHours: 72 });
    for (let index = 0; index < 30; index += 1) server.refused.add(`r${index}`);
    const names = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `r${from + index}`);
    expect(await look()).toEqual(names(0, ASKED_AT_ONCE));
    expect(await look()).toEqual(names(100, 200));
    expect(await look()).toEqual([...names(200, 250), ...names(0, 30)]);
    server.refused.clear();
    expect(await look()).toEqual(names(0, 30));
    expect([await look(), await look(2), await look()], 'nor again when it has looked at all').toEqual([[], [], []]);
  });

  it('asks no more about what the server may have forgotten who saw to it', async () => {
    const { server, look } = serverWith({ closedHoursAgo: { young: 1, old: 19.5 }, retentionHours: 24 });
    for (const runId of ['young', 'old']) server.refused.add(runId);
    expect(await look()).toEqual(['young', 'old']);
    expect(await look(1)).toEqual(['young']);
  });

  it('nor between two looks at all, where that may be of what is older than it looks back', async () => {
    const { server, look } = serverWith({ closedHoursAgo: { one: 0.9 }, retentionHours: 2 });
    server.refused.add('one');
    expect([await look(), await look(0.05), await look(0.1)]).toEqual([['one'], ['one'], []]);
  });

  it('of a namespace that does not answer, says so and asks again at the next look, and sees to what ended all the same', async () => {
    const { server, look } = serverWith({ closedHoursAgo: { one: 1, old: 30 }, retentionHours: 'away' });
    expect([await look(), server.failed, server.described]).toEqual([['one'], 'refused', 1]);
    server.retentionHours = 72;
    expect([await look(0.1), server.failed, server.described]).toEqual([['old'], '', 2]);
  });
});
