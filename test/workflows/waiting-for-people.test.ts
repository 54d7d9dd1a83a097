import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ApplicationFailure } from '@temporalio/activity';
import { Client } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createKernelActivities } from '../../activities/kernel/create-kernel-activities.ts';
import type { NotifyActivities } from '../../activities/notify/notify-activities.ts';
import { latestRun } from '../../activities/kernel/run-end.ts';
import { ENOUGH_APPROVALS } from '../../contracts/deciding.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import type { Owner } from '../../contracts/ledger.ts';
import type { Progress } from '../../contracts/messages.ts';
import type { NotificationInput } from '../../contracts/notification.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { bundleToy, readEvidence, toyConfiguration } from '../support/kernel-environment.ts';
import { PATIENT } from '../support/patience.ts';
import { startTimeSkippingServer } from '../support/time-skipping-server.ts';
import { toyActivities } from '../support/toy/activities.ts';

const HOUR_MS = 3_600_000;
const LADDER = {
  approvers: ['anna'], expiresAfter: '3d', extendUpTo: '6d', remindEvery: '10h', notify: ['ops'],
  escalation: [{ after: '2d', notify: ['board'] }, { after: '1d', approvers: ['ben'] }],
};
let server: Awaited<ReturnType<typeof startTimeSkippingServer>>;
let environment: TestWorkflowEnvironment;
let configuration: Configuration;
let worker: Worker | undefined;
let running: Promise<void> | undefined;
let root: string;
let told: NotificationInput[];
/** That of the workers by now. */
let codeVersion: string;
/** Why the configuration cannot be read. */
let trouble: ApplicationFailure | undefined;
/** Whom the server says that it was who sent a signal. */
let principal: string | undefined;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'gate-ladder-'));
  told = [];
  codeVersion = 'test';
  trouble = undefined;
  principal = undefined;
  server = await startTimeSkippingServer(root);
  environment = server.environment;
});
afterEach(async () => {
  worker?.shutdown();
  await running;
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

/** This server's time stands still while an activity is at work: one that watches for days has to be many short looks. */
async function lookForRunEnd(client: Client, owner: Owner) {
  const run = await latestRun(client, owner);
  if (!run || run.status.name === 'RUNNING') throw ApplicationFailure.create({ message: 'it still runs', nextRetryDelay: '5 days' });
  return { status: run.status.name === 'COMPLETED' ? 'completed' as const : 'failed' as const, runId: run.runId, closedAtMs: run.closeTime?.getTime() ?? Date.now() };
}

async function startToy(gates: Record<string, unknown>, each: Record<string, unknown> = {}, input: Record<string, unknown> = {}) {
  const channel = { kind: 'slack', urlEnv: 'SLACK' };
  configuration = toyConfiguration(root, gates, { maximum: '30d' }, {}, { each, notifications: { channels: { ops: channel, board: channel }, alarm: ['ops'] } });
  const client = new Client({ connection: environment.connection });
  const kernelActivities = createKernelActivities({ client, configuration, codeVersion: 'test', searchAttributes: [] });
  const deliver: NotifyActivities['deliver'] = async (input) => void told.push(input);
  worker = await Worker.create({
    connection: environment.nativeConnection, taskQueue: 'runbooks', workflowBundle: await bundleToy(),
    activities: { ...kernelActivities, describeRun: async (input: Parameters<typeof kernelActivities.describeRun>[0]) => {
      if (trouble) throw trouble;
      return { ...await kernelActivities.describeRun(input), codeVersion };
    },
    identifyDecision: async (input: Parameters<typeof kernelActivities.identifyDecision>[0]) => ({ ...await kernelActivities.identifyDecision(input), ...(principal === undefined ? {} : { principal }) }), ...toyActivities, deliver, awaitRunEnd: ({ owner }: { owner: Owner }) => lookForRunEnd(client, owner) },
  });
  running = worker.run();
  const handle = await environment.client.workflow.start('toy', { workflowId: `toy/${randomUUID()}`, taskQueue: 'runbooks', args: [{ root: await mkdtemp(path.join(root, 'run-')), requester: 'carol', ...input }] });
  const progress = () => handle.query<Progress>('progress');
  return {
    handle, progress,
    decide: (by: string, decision = 'approve') => handle.executeUpdate('decide', { args: [{ gate: 'start', decision, by }] }),
    evidence: async (): Promise<Evidence> => {
      await handle.result().catch(() => undefined);
      await awaitGuardian(environment.client, handle);
      return (await readEvidence(configuration)).find((one) => one.workflowId === handle.workflowId)!;
    },
  };
}
async function runWithGate(policy: Record<string, unknown>) {
  const run = await startToy({ start: policy });
  await vi.waitUntil(async () => (await run.progress()).openGate, PATIENT);
  return { ...run, openedAtMs: Date.parse((await run.progress()).openGate!.openedAt) };
}
type RunWithGate = Awaited<ReturnType<typeof runWithGate>>;

/** Lets time pass, and waits until the run has seen it. */
async function passTo(run: RunWithGate, hours: number): Promise<void> {
  await environment.sleep(run.openedAtMs + hours * HOUR_MS - (await environment.currentTimeMs()));
  await run.progress();
}

/** What happened at the gate, by the hours since it opened. */
const eventsOf = (evidence: Evidence) => evidence.gates[0]!.events.map(({ at, event }) => [Math.round((Date.parse(at) - Date.parse(evidence.gates[0]!.openedAt)) / HOUR_MS), event]);

it('reminds, escalates, is extended, and expires, each at its time, over days', async () => {
  const run = await runWithGate(LADDER);
  await expect(run.decide('ben')).rejects.toMatchObject({ cause: { message: expect.stringMatching(/ben may not decide .* it is escalated to ben at/) as string } });
  await passTo(run, 25);
  expect((await run.progress()).openGate).toMatchObject({ approvers: ['anna', 'ben'] });
  const extend = (hours: number, over: Record<string, unknown> = {}) => run.handle.executeUpdate('extendDeadline', { args: [{ gate: 'start', until: new Date(run.openedAtMs + hours * HOUR_MS).toISOString(), by: 'ben', reason: 'on holiday', ...over }] });
  const refused = (sentence: string) => ({ cause: { message: expect.stringContaining(sentence) as string } });
  await expect(extend(6 * 24 + 1)).rejects.toMatchObject({ cause: { message: expect.stringContaining('can be extended to') as string } });
  await expect(extend(1)).rejects.toMatchObject({ cause: { message: expect.stringContaining('is over; name a later instant') as string } });
  await expect(extend(99, { gate: 'other' })).rejects.toMatchObject(refused('gate "other" is not open'));
  for (const hours of [26, 72]) await expect(extend(hours)).rejects.toMatchObject(refused('can only be extended; to end it sooner, reject'));
  await expect(extend(100, { by: undefined })).rejects.toMatchObject(refused('extendDeadline takes { gate, until: "2026-12-31T18:00:00Z", by, reason? }'));
  for (const by of ['dora', 'carol']) await expect(extend(100, { by })).rejects.toMatchObject(refused(`only who can approve at gate "start" can extend it: ${by} may not decide at gate "start"; one of anna, ben must`));
  await extend(100);
  await passTo(run, 80);
  expect((await run.progress()).openGate).not.toBeNull();
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: expect.stringContaining('expired') as string } });
  const evidence = await run.evidence();
  expect(evidence.outcome).toBe('rejected');
  expect(eventsOf(evidence)).toEqual([
    [10, 'reminded'], [20, 'reminded'], [24, 'escalated'], [25, 'extended'], [34, 'reminded'], [44, 'reminded'], [48, 'escalated'],
    [58, 'reminded'], [68, 'reminded'], [78, 'reminded'], [88, 'reminded'], [98, 'reminded'],
  ]);
  const { gates: [gate], operations } = evidence;
  expect((Date.parse(gate!.closedAt!) - Date.parse(gate!.openedAt)) / HOUR_MS).toBeCloseTo(100, 2);
  expect(operations).toEqual([expect.objectContaining({ operation: 'extendDeadline', by: 'ben', reason: 'on holiday', of: 'start' })]);
  // Each is told once, on its channels, under an id of its own.
  const kinds = told.map(({ channel, notice }) => `${channel} ${notice.kind}`);
  expect(kinds.filter((kind) => kind === 'ops gateReminder')).toHaveLength(9);
  expect(kinds.filter((kind) => kind.includes('Escalated')).sort()).toEqual(['board gateEscalated', 'ops gateEscalated', 'ops gateEscalated']);
  expect(new Set(told.map(({ channel, notice }) => `${channel} ${notice.id}`)).size).toBe(told.length);
  expect(told.find(({ notice }) => notice.kind === 'gateOpened')?.notice.gate).toMatchObject({ name: 'start', approvers: ['anna'], quorum: 1 });
  expect(told.findLast(({ notice }) => notice.kind === 'gateEscalated')?.notice.gate?.approvers).toEqual(['anna', 'ben']);
});

it('counts whom it was escalated to, from then on', async () => {
  const run = await runWithGate(LADDER);
  await passTo(run, 24.1);
  expect(await run.decide('ben')).toMatchObject({ outcome: ENOUGH_APPROVALS, by: 'ben' });
  await run.handle.result();
  expect((await run.evidence()).gates[0]).toMatchObject({ outcome: 'approved', decisions: [{ by: 'ben', counted: true }] });
});

it('takes whom the configuration names by now, and asks it a minute after it was asked before, and not more often', async () => {
  const run = await runWithGate({ approvers: ['anna'], expiresAfter: '3d' });
  const nobody = (by: string) => ({ cause: { message: expect.stringContaining(`${by} may not decide at gate "start"`) as string } });
  const asked = async () => ((await run.handle.fetchHistory()).events ?? []).filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'describeRun').length;
  const { approvers } = configuration.databases['shop']!.gates['start']!;
  approvers.push('dora');
  await expect(run.decide('dora')).rejects.toMatchObject(nobody('dora'));
  expect(await asked()).toBe(1);
  await passTo(run, 1);
  await expect(run.decide('mallory')).rejects.toMatchObject(nobody('mallory'));
  for (let n = 0; n < 3; n += 1) await expect(run.decide('mallory')).rejects.toMatchObject(nobody('mallory'));
  approvers.push('erik');
  await expect(run.decide('erik')).rejects.toMatchObject(nobody('erik'));
  expect(await asked()).toBe(2);
  expect(await run.decide('dora')).toMatchObject({ outcome: ENOUGH_APPROVALS, by: 'dora' });
  await run.handle.result();
  expect(await asked()).toBe(3);
  expect((await run.evidence()).gates).toMatchObject([{ outcome: 'approved', policy: { approvers: ['anna', 'dora', 'erik'] }, events: [{ event: 'policyChanged' }, { event: 'policyChanged' }] }]);
});

it('a signal counts of whoever the configuration names by now, too', async () => {
  const run = await runWithGate({ approvers: ['anna'], expiresAfter: '3d' });
  configuration.databases['shop']!.gates['start']!.approvers.push('dora');
  await passTo(run, 1);
  await run.handle.signal('approve', { gate: 'start', by: 'dora' });
  await run.handle.result();
  expect((await run.evidence()).gates).toMatchObject([{ outcome: 'approved', decisions: [{ by: 'dora', counted: true }] }]);
});

it('goes on by the ladder of the policy that it took over: with whom that escalates to, and not with whom it did', async () => {
  const run = await runWithGate({ approvers: ['anna'], expiresAfter: '3d', escalation: [{ after: '10h', approvers: ['ben'] }, { after: '40h', approvers: ['erik'] }] });
  await passTo(run, 11);
  const gate = configuration.databases['shop']!.gates['start']!;
  gate.escalation = [{ after: 20 * HOUR_MS, approvers: ['dora'], notify: [] }];
  gate.remindEvery = 30 * HOUR_MS;
  await expect(run.decide('mallory')).rejects.toMatchObject({ cause: { message: expect.stringContaining('mallory may not decide') as string } });
  expect((await run.progress()).openGate?.approvers).toEqual(['anna']);
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
  const evidence = await run.evidence();
  expect(eventsOf(evidence)).toEqual([[10, 'escalated'], [11, 'policyChanged'], [20, 'escalated'], [50, 'reminded']]);
  expect(evidence.gates[0]?.events[2]?.detail).toBe('to dora');
});

it('escalates at once to whom it should have by now, and again to whom it had where that is behind them', async () => {
  const escalation = [{ after: 10 * HOUR_MS, approvers: ['ben'], notify: ['board'] }, { after: 30 * HOUR_MS, approvers: ['erik'], notify: [] }];
  const run = await runWithGate({ approvers: ['anna'], expiresAfter: '3d', escalation: [{ after: '10h', approvers: ['ben'], notify: ['board'] }, { after: '30h', approvers: ['erik'] }] });
  await passTo(run, 11);
  configuration.databases['shop']!.gates['start']!.escalation = [...escalation, { after: 5 * HOUR_MS, approvers: ['dora'], notify: [] }];
  await run.decide('mallory').catch(() => undefined);
  await passTo(run, 12);
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
  const { gates: [gate] } = await run.evidence();
  expect(gate?.events.map(({ event, detail }) => (event === 'escalated' ? detail : event))).toEqual(['to ben, channel board', 'policyChanged', 'to dora', 'to ben, channel board', 'to erik']);
});

it.each([['for a while', false], ['for good', true]])('a configuration that cannot be read, %s, holds up no gate and ends no run because somebody sent something', async (_, isForGood) => {
  const run = await runWithGate({ approvers: ['anna'], expiresAfter: '2h', remindEvery: '1h' });
  await passTo(run, 0.5);
  trouble = ApplicationFailure.create({ message: 'it cannot be read', nonRetryable: isForGood });
  await run.handle.signal('approve', { gate: 'start', by: 'mallory' });
  await run.handle.signal('reject', { gate: 'start', by: 'mallory' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: expect.stringContaining('without enough approvals') as string } });
  const evidence = await run.evidence();
  expect(eventsOf(evidence)).toEqual([[1, 'reminded']]);
  expect(evidence.gates[0]?.decisions.map(({ by, counted }) => [by, counted])).toEqual([['mallory', false], ['mallory', false]]);
  expect((Date.parse(evidence.gates[0]!.closedAt!) - Date.parse(evidence.gates[0]!.openedAt)) / HOUR_MS).toBeCloseTo(2, 2);
});

it('a name that the server verified is looked for in the configuration by now, too', async () => {
  principal = 'dora';
  const run = await runWithGate({ approvers: ['anna'], expiresAfter: '3d', assurance: 'principal' });
  configuration.databases['shop']!.gates['start']!.approvers.push('dora');
  await passTo(run, 1);
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await run.handle.result();
  expect((await run.evidence()).gates).toMatchObject([{ outcome: 'approved', decisions: [{ by: 'dora', assurance: 'principal', counted: true }] }]);
});

it('does not go on when it expires with a plan that was not there to be read all the time, whoever had it looked at', async () => {
  const run = await runWithGate({ approvers: ['anna'], expiresAfter: '2d', onExpiry: 'approve' });
  await passTo(run, 40);
  codeVersion = 'upgraded';
  await run.handle.signal('approve', { gate: 'start', by: 'mallory' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: expect.stringMatching(/^gate "start" expired at \S+Z, and its plan had become another one/) as string } });
  const evidence = await run.evidence();
  expect([evidence.chain.codeVersion, evidence.gates[0]?.outcome, eventsOf(evidence)]).toEqual(['upgraded', 'rejected', [[40, 'planChanged']]]);
});

it('lets the run go on when it expires, where its policy says so, and says that nobody approved', async () => {
  const run = await runWithGate({ approvers: ['anna'], expiresAfter: '2d', onExpiry: 'approve' });
  await run.handle.result();
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'succeeded', gates: [{ outcome: 'expired', onExpiry: 'approve', decisions: [] }] });
  expect((Date.parse(evidence.gates[0]!.closedAt!) - Date.parse(evidence.gates[0]!.openedAt)) / HOUR_MS).toBeCloseTo(48, 2);
});

it('needs as many rejections as its policy says', async () => {
  const run = await runWithGate({ approvers: ['anna', 'ben'], rejections: 2, expiresAfter: '2d' });
  expect(await run.decide('anna', 'reject')).toMatchObject({ outcome: 'open' });
  await passTo(run, 24);
  expect(await run.decide('ben', 'reject')).toMatchObject({ outcome: 'rejected' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { message: 'gate "start" was rejected by anna; ben' } });
});

it('a step that waits for an operator fails with its own failure when nobody comes for days, and people are told that it waits', async () => {
  const run = await startToy({}, { failedSteps: { wait: '2d' } }, { failAt: 'one' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'PREFLIGHT', message: 'one cannot be written' } });
  const evidence = await run.evidence();
  expect(evidence.steps).toMatchObject([{ name: 'write one', outcome: 'failed' }]);
  expect((Date.parse(evidence.finishedAt) - Date.parse(evidence.startedAt)) / HOUR_MS).toBeCloseTo(48, 1);
  expect(told.map(({ channel, notice }) => [channel, notice.kind])).toEqual([['ops', 'stepWaits']]);
  expect(told[0]!.notice.lines.slice(0, 2)).toEqual(['step "write one" failed: one cannot be written', expect.stringMatching(/^it waits for an operator until /)]);
});
