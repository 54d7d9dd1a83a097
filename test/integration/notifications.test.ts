import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import { NOTIFICATION_TYPE, type Notice } from '../../contracts/notification.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { startReceiver, type Received, type Receiver } from '../support/receiver.ts';
import { isSigned } from '../support/standard-webhook.ts';
import { gateOpens, reset, startToy, until, type ToyRun } from '../support/toy-runs.ts';

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
/** In every address: it may get into no history. */
const TOKEN = randomBytes(12).toString('hex');

/** Whether the channel `down` takes messages. */
let isUp = false;
/** What the receiver does with the `count`th message of one id, by channel. */
const BEHAVIOUR: Record<string, (response: ServerResponse, count: number) => void> = {
  chat: (response) => response.end('ok'),
  fails: (response, count) => response.writeHead(count <= 2 ? 500 : 200).end(),
  stalls: (response, count) => { if (count > 1) response.end(); },
  // It has taken the message, and we never hear that.
  loses: (response, count) => { if (count > 1) response.end(); else response.socket?.destroy(); },
  moved: (response) => response.writeHead(302, { location: '/elsewhere' }).end(),
  down: (response) => { if (isUp) response.end(); },
  alarm: (response) => response.end(),
  elsewhere: (response) => response.end(),
};
const channelOf = ({ path: url }: Received) => url.split('/')[1] ?? '';
const idOf = ({ headers }: Received) => headers['webhook-id'];

let receiver: Receiver;
let environment: KernelEnvironment;
let secrets: string;
beforeAll(async () => {
  receiver = await startReceiver((response, _count, message) => BEHAVIOUR[channelOf(message)]?.(response, receiver.received.filter((one) => one.path === message.path && idOf(one) === idOf(message)).length));
  secrets = await mkdtemp(path.join(tmpdir(), 'channels-'));
  await writeFile(path.join(secrets, 'secret'), `${SECRET}\n`, { mode: 0o600 });
  const channels = Object.fromEntries(await Promise.all(Object.keys(BEHAVIOUR).map(async (name) => {
    const urlFile = path.join(secrets, name);
    await writeFile(urlFile, `${receiver.origin}/${name}/${TOKEN}\n`, { mode: 0o600 });
    return [name, name === 'chat' ? { kind: 'slack', urlFile } : { kind: 'webhook', urlFile, secretFile: path.join(secrets, 'secret'), timeout: '500ms' }] as const;
  })));
  const gate = (...notify: string[]) => ({ start: { approvers: ['anna'], notify } });
  environment = await startKernelEnvironment(gate('chat', 'fails', 'stalls', 'loses', 'moved'), {}, { remote: gate('down'), free: gate('alarm'), ungated: {} }, { webUi: 'https://temporal.example.com', notifications: { channels, alarm: ['alarm'] } });
  await environment.startWorker({ undoToy: ({ name }) => Promise.reject(ApplicationFailure.nonRetryable(`${name} cannot be undone`, 'UNAVAILABLE')) });
});
afterAll(async () => {
  await environment.stop();
  await receiver.stop();
  await rm(secrets, { recursive: true });
});

const start = (input: Record<string, unknown>) => startToy(environment, { requester: 'carol', ...input });
const sentTo = (channel: string, { handle }: ToyRun) => receiver.received.filter((one) => channelOf(one) === channel && one.body.includes(handle.workflowId));
const noticeIn = ({ body }: Received) => JSON.parse(body) as Notice & { commands: { approve?: string; look: string }; link: string };

/** The workflows that deliver what a run, or its guardian, tells people. */
async function deliveriesOf(teller: Pick<ToyRun['handle'], 'fetchHistory'>) {
  const started = ((await teller.fetchHistory()).events ?? []).map(({ childWorkflowExecutionStartedEventAttributes: child }) => child).filter((child) => child?.workflowType?.name === NOTIFICATION_TYPE);
  return started.map((child) => environment.client.workflow.getHandle(child?.workflowExecution?.workflowId ?? ''));
}

/** Everything in a history, payloads as the text that they are. */
function textOf(history: object): string {
  return JSON.stringify(history).replaceAll(/"data":"([A-Za-z0-9+/=]*)"/g, (_all, data: string) => Buffer.from(data, 'base64').toString('utf8'));
}

it('a gate that opens is told on every channel, at least once and recognisably, whatever receivers do with it', async () => {
  const run = await start({ database: 'shop' });
  await gateOpens(run);
  const { openGate } = await run.handle.query<Progress>('progress');
  for (const [channel, times] of [['chat', 1], ['fails', 3], ['stalls', 2], ['loses', 2], ['moved', 1]] as const) {
    await until(() => Promise.resolve(sentTo(channel, run).length >= times), `${channel} has its message`);
  }
  const deliveries = await deliveriesOf(run.handle);
  await until(async () => (await Promise.all(deliveries.map((delivery) => delivery.describe()))).every(({ status }) => status.name !== 'RUNNING'), 'all is delivered, or given up');

  for (const [channel, times] of [['fails', 3], ['stalls', 2], ['loses', 2]] as const) {
    const messages = sentTo(channel, run);
    expect([channel, messages.length]).toEqual([channel, times]);
    expect([...new Set(messages.map(idOf))]).toEqual([expect.stringMatching(new RegExp(`^${run.handle.firstExecutionRunId}-[0-9a-f\\-]{36}-${channel}$`, 'v'))]);
    expect(new Set(messages.map(({ body }) => body)).size).toBe(1);
    for (const message of messages) expect(await isSigned(message, SECRET)).toBe(true);
    expect(noticeIn(messages[0]!)).toMatchObject({
      kind: 'gateOpened', runbook: 'toy', target: 'shop', requester: 'carol', gate: { name: 'start', planHash: openGate?.planHash, expiresAt: openGate?.expiresAt, approvers: ['anna'] },
      link: `https://temporal.example.com/namespaces/default/workflows/${encodeURIComponent(run.handle.workflowId)}/${run.handle.firstExecutionRunId}/history`,
    });
  }
  const [{ body: chat }] = sentTo('chat', run) as [Received];
  for (const told of ['• writes: one, two', '• code version: ', 'Requested by: carol', `Plan: ${openGate?.planHash}`, `Decide until: ${openGate?.expiresAt}`, 'https://temporal.example.com/']) expect(chat).toContain(told);

  // A redirect is followed nowhere, and is for a person to mend: that delivery failed, and nothing else did.
  expect(receiver.received.filter((one) => channelOf(one) === 'elsewhere')).toEqual([]);
  expect(sentTo('moved', run)).toHaveLength(1);
  const ends = await Promise.all(deliveries.map((delivery) => delivery.result().then(() => 'delivered', (error: { cause?: { cause?: { message: string } } }) => error.cause?.cause?.message)));
  expect(ends.filter((end) => end !== 'delivered')).toEqual([expect.stringContaining('channel "moved" answered with HTTP 302') as string]);
  expect(ends).toHaveLength(5);
  for (const workflow of [run.handle, ...deliveries]) {
    const history = textOf(await workflow.fetchHistory());
    expect(history).toContain('gateOpened');
    for (const secret of [TOKEN, SECRET, receiver.origin]) expect(history).not.toContain(secret);
  }

  // The command that people copy, as it stands in the message.
  const command = /"```(runbook approve [^`]*)```"/.exec(chat)?.[1]?.replace('--by NAME', '--by anna') ?? '';
  expect(command).toBe(noticeIn(sentTo('fails', run)[0]!).commands.approve?.replace('--by NAME', '--by anna'));
  const { stdout } = await promisify(execFile)('sh', ['-c', command], { env: { ...process.env, PATH: `${fileURLToPath(new URL('../../dist/bin', import.meta.url))}:${process.env['PATH']}`, TEMPORAL_ADDRESS: environment.server.address } });
  expect(stdout).toContain('approve by anna counts at gate "start": approved');
  await run.handle.result();
});

it('a channel that never answers holds up no run, and the message arrives when the run has long ended', async () => {
  isUp = false;
  const run = await start({ database: 'remote' });
  await gateOpens(run);
  await until(() => Promise.resolve(sentTo('down', run).length > 0), 'delivery was tried');
  await run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] });
  await run.handle.result();
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { provenAbsent: true } });
  const [delivery] = await deliveriesOf(run.handle);
  expect((await delivery!.describe()).status.name).toBe('RUNNING');
  const before = sentTo('down', run).length;
  isUp = true;
  await delivery!.result();
  const messages = sentTo('down', run);
  expect(messages.length).toBe(before + 1);
  expect(new Set(messages.map(idOf)).size).toBe(1);
  expect(messages.at(-1)!.atMs).toBeGreaterThan(Date.parse((await run.evidence()).finishedAt));
});

it('an abort takes back nothing that is being delivered', async () => {
  isUp = false;
  const run = await start({ database: 'remote' });
  await gateOpens(run);
  await until(() => Promise.resolve(sentTo('down', run).length > 0), 'delivery was tried');
  await run.handle.executeUpdate('abort', { args: [{ by: 'anna' }] });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'ABORTED' } });
  const [delivery] = await deliveriesOf(run.handle);
  isUp = true;
  await delivery!.result();
});

it('a run that is reset after it has told people goes on; what it tells anew are messages of their own', async () => {
  const run = await start({ database: 'free' });
  await gateOpens(run);
  await until(() => Promise.resolve(sentTo('alarm', run).length === 1), 'the gate is told');
  await run.handle.signal('approve', { gate: 'start', by: 'mallory' });
  await until(async () => (await run.handle.query<Progress>('progress')).refused.length === 1, 'mallory is refused');
  // Behind what was told, and then before it.
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  const lives = async () => (await newest.query<Progress>('progress')).openGate !== null;
  await reset(environment, run, 'last');
  await until(lives, 'the gate is open as before');
  expect(sentTo('alarm', run)).toHaveLength(1);
  await reset(environment, run, 'first');
  await until(lives, 'the gate opens anew');
  await until(() => Promise.resolve(sentTo('alarm', run).length === 2), 'which is told');
  expect(new Set(sentTo('alarm', run).map(idOf)).size).toBe(2);
  await newest.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] });
  await newest.result();
});

it('a run whose undo fails tells the alarm channel at once what it left behind', async () => {
  const run = await start({ database: 'ungated', failAt: 'two' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'PREFLIGHT' } });
  await until(() => Promise.resolve(sentTo('alarm', run).length > 0), 'the alarm is raised');
  await run.guardian.result();
  await Promise.all((await deliveriesOf(run.guardian)).map((delivery) => delivery.result()));
  const messages = sentTo('alarm', run);
  expect(messages).toHaveLength(1);
  expect(await isSigned(messages[0]!, SECRET)).toBe(true);
  const notice = noticeIn(messages[0]!);
  expect(notice).toMatchObject({ kind: 'leftBehind', target: 'ungated', gate: null, commands: { look: `runbook status ${run.handle.workflowId}` } });
  for (const told of ['two cannot be undone', 'one cannot be undone']) expect(notice.lines.join('\n')).toContain(told);
  // It is another one to receivers once it says something else, as when a life that a reset made leaves more.
  expect(idOf(messages[0]!)).toContain(`${run.handle.firstExecutionRunId}-left-${createHash('sha256').update(JSON.stringify(notice.lines[0])).digest('hex').slice(0, 12)}`);
});
