import { expect, test } from 'vitest';
import { connectionSchema } from '../../contracts/configuration.ts';
import { askedInstant, checkInstant } from '../../activities/dr-test/instant-check.ts';
import type { LostCommits } from '../../activities/dr-test/provider.ts';

const time = '2026-11-21T12:05:00.000Z';

/** Of a source that is silent: its disk is left, or is not. */
function check(lost: Partial<LostCommits>, { recoverTo = { time } as { time: string } | null, stoppedBeforeLater = false, lastCommitAt = '2026-11-21T11:59:58.000Z' as string | null } = {}) {
  const asked: Date[] = [];
  const found = checkInstant({
    drill: { owner: { workflowId: 'w', firstExecutionRunId: 'r' } } as never, plan: { recoverTo, source: null, sourceSilence: null } as never,
    recovered: { endLsn: '0/1', lastCommitAt, stoppedBeforeLater, replaySeconds: 0, promotionSeconds: 0, repeatedSeconds: 0 },
  }, {
    settings: { connection: connectionSchema.parse({}) }, resolvePassword: () => Promise.resolve(undefined), signal: new AbortController().signal,
    provider: { find: () => Promise.reject(new Error('not of a silent source')), lostCommits: (_drill, { until }) => { asked.push(until); return Promise.resolve({ commits: 0, maintenance: 0, lastCommitAt: null, knownFrom: 'disk', unread: null, ...lost }); } },
  });
  return found.then((checks) => ({ checks, asked }));
}

test.each([
  ['the source committed nothing until then', {}, {}, 'passed', `nothing in the archive is later than the commit of 2026-11-21T11:59:58.000Z, and the source committed nothing between that and ${time}`],
  ['it did', { commits: 3 }, {}, 'skipped', `nothing in the archive is later than the commit of 2026-11-21T11:59:58.000Z, so ${time} is not proven to be reached: the source committed 3 more until then; ask for an earlier instant, or for "latest"`],
  ['nobody knows', { knownFrom: 'archive' as const }, { lastCommitAt: null }, 'skipped', `the archive holds no commit after the start of the backup, so ${time} is not proven to be reached: what the source committed in between is not known; ask for an earlier instant, or for "latest"`],
])('an instant that is later than all that the archive holds: %s', async (_, lost, over, outcome, detail) => {
  const { checks, asked } = await check(lost, over);
  expect(checks).toEqual([{ name: 'asked instant', outcome, detail }]);
  expect(asked).toEqual([new Date(time)]);
});

test('where recovery stopped before a later commit, or no instant was asked for, there is nothing to ask', async () => {
  for (const over of [{ stoppedBeforeLater: true }, { recoverTo: null }]) expect(await check({ commits: 3 }, over)).toEqual({ checks: [], asked: [] });
});

test.each([
  ["by the source's clock, which is ahead", undefined, '2026-11-21T12:05:02.000Z'],
  ['as it was given, where the service keeps the time', true, time],
] as const)('an instant is judged %s', async (_what, takesInstantsAsGiven, expected) => {
  const provider = takesInstantsAsGiven ? { takesInstantsAsGiven } : {};
  const plan = { recoverTo: { time }, source: { lsn: '0/1', systemIdentifier: '1', clockSkewSeconds: 2 }, sourceSilence: null };
  expect(askedInstant(plan, provider)).toEqual(new Date(expected));
  const asked: Date[] = [];
  const checks = await checkInstant({ drill: { owner: { workflowId: 'w', firstExecutionRunId: 'r' } } as never, plan: plan as never, recovered: { endLsn: '0/1', lastCommitAt: time, stoppedBeforeLater: false, replaySeconds: 0, promotionSeconds: 0, repeatedSeconds: 0 } }, {
    // Nobody listens there.
    settings: { connection: connectionSchema.parse({ host: '127.0.0.1', port: 1 }) }, resolvePassword: () => Promise.resolve(undefined), signal: new AbortController().signal,
    provider: { ...provider, find: () => Promise.resolve({ systemIdentifier: null } as never), lostCommits: (_drill, { until }) => { asked.push(until); return Promise.resolve({ commits: until.toISOString() === time ? 0 : 3, maintenance: 0, lastCommitAt: null, knownFrom: 'disk', unread: null }); } },
  });
  expect(asked).toEqual([new Date(expected)]);
  expect(checks).toMatchObject([{ outcome: takesInstantsAsGiven ? 'passed' : 'skipped' }]);
});
