import { Client } from 'pg';
import { expect, it } from 'vitest';
import { endSourceSessions, lookForSourceSessions } from '../../activities/postgres/run-sessions.ts';
import { useHangingGateway } from '../support/hanging-gateway.ts';
import { withClient } from '../support/user-clients.ts';

const NAME = 'runbook dr-test-1';
const used = useHangingGateway();
const through = () => used.gateway.config();

it('finds the sessions of a run at its source and ends them, and no others', async () => {
  const [ours, others] = [NAME, 'runbook dr-test-2'].map((application_name) => new Client({ ...through(), application_name }).on('error', () => undefined)) as [Client, Client];
  try {
    await Promise.all([ours.connect(), others.connect()]);
    expect(await lookForSourceSessions(through(), NAME, 1)).toEqual({ looked: 'sessions and slots at the source', found: [expect.stringMatching(/^session \d+ at the source$/)] });
    expect(await endSourceSessions(through(), NAME)).toBe(1);
    expect(await lookForSourceSessions(through(), NAME, 1)).toEqual({ looked: 'sessions and slots at the source', found: [] });
    expect((await others.query<{ alive: number }>('SELECT 1 AS alive')).rows).toEqual([{ alive: 1 }]);
  } finally {
    await Promise.all([ours.end().catch(() => undefined), others.end()]);
  }
});

it('a source that takes a connection and then hangs holds nothing up for long, and is not said to be free of sessions', async () => {
  used.gateway.isHung = true;
  const started = performance.now();
  expect(await endSourceSessions(through(), NAME, 300)).toBe(0);
  await expect(lookForSourceSessions(through(), NAME, 1, 300)).rejects.toThrow(/timeout/i);
  expect(performance.now() - started).toBeLessThan(10_000);
  // What was proven of this host is worth no less: in the end it is said, and the teardown ends.
  expect(await lookForSourceSessions(through(), NAME, 5, 300)).toEqual({ looked: expect.stringMatching(/^no sessions at the source, which could not be asked: .*timeout/i) as string, found: [] });
});

it('one that hangs while nothing is asked of it keeps nobody, neither who is done nor who is cancelled', async () => {
  const started = performance.now();
  await withClient(through(), async () => { used.gateway.isHung = true; });
  used.gateway.isHung = false;
  const controller = new AbortController();
  await expect(withClient(through(), async () => {
    used.gateway.isHung = true;
    controller.abort(new Error('cancelled'));
    controller.signal.throwIfAborted();
  }, controller.signal)).rejects.toThrow('cancelled');
  expect(performance.now() - started).toBeLessThan(6_000);
});

it('one that refuses us is not asked again', async () => {
  expect(await lookForSourceSessions({ ...through(), database: 'nowhere' }, NAME, 1)).toEqual({ looked: expect.stringMatching(/could not be asked: .*does not exist/) as string, found: [] });
});

it('one that is down has no sessions, and the proof says that it was not asked', async () => {
  const nobody = { ...through(), port: 1 };
  expect(await endSourceSessions(nobody, NAME)).toBe(0);
  expect(await lookForSourceSessions(nobody, NAME, 1)).toEqual({ looked: expect.stringMatching(/^no sessions at the source, which could not be asked: .*(ECONNREFUSED|refuse)/) as string, found: [] });
});
