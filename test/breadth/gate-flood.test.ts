import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import type { RunRecord } from '../../contracts/record.ts';
import { currentDetailsOf } from '../support/current-details.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** What anybody can send a gate, as often as they like, puts off nothing: neither its end nor the answer to those who may decide. */
let environment: KernelEnvironment;
let keys: string;
let worker: { stop(): Promise<void> };
beforeAll(async () => {
  keys = await mkdtemp(path.join(tmpdir(), 'gate-flood-keys-'));
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(keys, 'anna')]);
  await writeFile(path.join(keys, 'allowed_signers'), `anna ${await readFile(path.join(keys, 'anna.pub'), 'utf8')}`);
  const six = { approvers: ['anna', 'ben'], expiresAfter: '6s' };
  environment = await startKernelEnvironment({ start: six }, {}, { long: { start: { ...six, expiresAfter: '1h' } }, both: { start: { ...six, expiresAfter: '20s', quorum: 2 } }, signed: { start: { ...six, assurance: 'signature' } } }, { approvals: { allowedSigners: path.join(keys, 'allowed_signers') } });
  worker = await environment.startWorker();
});
afterAll(async () => {
  await environment.stop();
  await rm(keys, { recursive: true });
});

const open = async (database: string): Promise<ToyRun> => {
  const run = await startToy(environment, { database, requester: 'rita' });
  await gateOpens(run);
  return run;
};
const flood = async ({ handle }: ToyRun, count: number) => {
  for (let sent = 0; sent < count; sent += 100) await Promise.all(Array.from({ length: 100 }, () => handle.signal('approve', { gate: 'start', by: 'mallory' })));
};

it.each([300])('a gate that %i made-up approvals reach expires when it expires', async (count) => {
  const run = await open('shop');
  await flood(run, count);
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
  const [gate] = (await run.evidence()).gates;
  expect(gate?.outcome).toBe('expired');
  // It took 19 s where each was looked at by itself: a busy machine gets as long, but not with as many looks.
  expect(Date.parse(gate?.closedAt ?? '') - Date.parse(gate?.openedAt ?? '')).toBeLessThan(25_000);
  const { events } = await run.handle.fetchHistory();
  expect(events?.filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name?.startsWith('identify')).length).toBeLessThan(60);
  // Each of them is judged all the same, since each came in time.
  expect((gate?.decisions.length ?? 0) + (gate?.decisionsLeftOut ?? 0)).toBe(count);
});

it('nor do signatures that are none, of somebody who may approve', async () => {
  const run = await open('signed');
  for (let sent = 0; sent < 300; sent += 100) await Promise.all(Array.from({ length: 100 }, () => run.handle.signal('approve', { gate: 'start', by: 'anna', signature: 'x'.repeat(4_900) })));
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
  const [gate] = (await run.evidence()).gates;
  // Each takes a run of ssh-keygen, which a busy machine has little time for; the gate waits for as many calls as that takes, and not for one of each.
  const { events } = await run.handle.fetchHistory();
  expect(events?.filter((event) => /^(identify|verify)/.test(event.activityTaskScheduledEventAttributes?.activityType?.name ?? '')).length).toBeLessThan(40);
  expect([(gate?.decisions.length ?? 0) + (gate?.decisionsLeftOut ?? 0), gate?.decisions[0]?.reason]).toEqual([300, expect.stringContaining('its signature is by no key that the allowed-signers file lists') as string]);
});

it('who may approve is answered behind a flood of others, and by few looks at the history', async () => {
  const run = await open('long');
  await flood(run, 300);
  const sentAt = Date.now();
  await run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] });
  expect(Date.now() - sentAt).toBeLessThan(12_000);
  await run.handle.result();
  const { events } = await run.handle.fetchHistory();
  expect(events?.filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name?.startsWith('identify')).length).toBeLessThan(60);
});

it('what came in time counts behind a flood, also where it is looked at after the expiry, and what came later does not', async () => {
  const run = await open('both');
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  const gateOf = async () => (await run.handle.query<RunRecord>('record')).gates[0];
  await until(async () => (await gateOf())?.decisions.length === 1, 'the first is judged');
  const openedAtMs = Date.parse((await gateOf())?.openedAt ?? '');
  await worker.stop();
  await flood(run, 300);
  await run.handle.signal('approve', { gate: 'start', by: 'ben' });
  // Else a machine was too slow for this test to have asked anything.
  expect(Date.now()).toBeLessThan(openedAtMs + 20_000);
  await sleep(openedAtMs + 20_500 - Date.now());
  await run.handle.signal('reject', { gate: 'start', by: 'anna' });
  await flood(run, 600);
  worker = await environment.startWorker();
  await run.handle.result();
  const [gate] = (await run.evidence()).gates;
  expect(gate?.outcome).toBe('approved');
  expect(gate?.decisions.filter(({ counted }) => counted).map(({ by, decision }) => [by, decision])).toEqual([['anna', 'approve'], ['ben', 'approve']]);
});

it('who is refused behind a hundred others reads why, where they look and in the evidence', async () => {
  const run = await open('long');
  await flood(run, 100);
  const leftOut = async () => (await run.handle.query<RunRecord>('record')).gates[0]?.decisionsLeftOut ?? 0;
  await until(async () => await leftOut() === 50, 'all are judged');
  await run.handle.signal('approve', { gate: 'start', by: 'anna', planHash: '0123456789abcdef0123456789abcdef' });
  await until(async () => await leftOut() === 51, 'hers is judged');
  const hers = 'the plan that was seen (0123456789ab) is not the plan';
  const { refused, refusedLeftOut } = await run.handle.query<Progress>('progress');
  expect([refused.length, refusedLeftOut, refused.at(-1)]).toEqual([50, 51, expect.stringContaining(hers)]);
  expect(await currentDetailsOf(run.handle)).toContain('the plan that was seen');
  await run.handle.signal('reject', { gate: 'start', by: 'ben' });
  await run.handle.result().catch(() => undefined);
  const evidence = await run.evidence();
  expect([evidence.refused.at(-1), evidence.refusedLeftOut]).toEqual([expect.stringContaining(hers), 51]);
  // The first forty, and the newest ten.
  const decisions = evidence.gates[0]?.decisions.filter(({ counted }) => !counted) ?? [];
  expect([decisions.length, decisions.at(-1)?.by, evidence.gates[0]?.decisionsLeftOut]).toEqual([50, 'anna', 51]);
  expect(decisions.map(({ at }) => at)).toEqual(decisions.map(({ at }) => at).toSorted());
});
