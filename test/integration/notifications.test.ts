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
import type { Notice } from '../../contracts/notification.ts';
import { deliveriesOf } from '../support/deliveries.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { keyOf, startReceiver, type Received, type Receiver } from '../support/receiver.ts';
import { isSigned } from '../support/standard-webhook.ts';
import { gateOpens, reset, startToy, until, type ToyRun } from '../support/toy-runs.ts';

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
/** In every address: it may get into no history. */
const TOKEN = randomBytes(12).toString('hex');

/** Whether the channel `down` takes messages. */
let isUp = false;
const KINDS = ['slack', 'webhook'] as const;
/** How receivers answer the `count`th time that one message comes, after which `times` they have it or will not; each has a channel of either kind, `slack-fails`. */
const ILL: Record<string, { times: number; answer: (response: ServerResponse, count: number) => void }> = {
  fails: { times: 3, answer: (response, count) => response.writeHead(count <= 2 ? 500 : 200).end() },
  limits: { times: 2, answer: (response, count) => (count === 1 ? response.writeHead(429, { 'retry-after': '3' }) : response).end() },
  stalls: { times: 2, answer: (response, count) => { if (count > 1) response.end(); } },
  // It has taken the message, and we never hear that.
  loses: { times: 2, answer: (response, count) => { if (count > 1) response.end(); else response.socket?.destroy(); } },
  moved: { times: 1, answer: (response) => response.writeHead(302, { location: '/elsewhere' }).end() },
  gone: { times: 1, answer: (response) => response.writeHead(410).end() },
};
const ILL_CHANNELS = KINDS.flatMap((kind) => Object.entries(ILL).map(([behaviour, its]) => ({ kind, channel: `${kind}-${behaviour}`, ...its })));
/** What is not tried again, since a person has to mend it. */
const REFUSED = { moved: 302, gone: 410 };
/** What the receiver does with the `count`th message of one id, by channel. */
const BEHAVIOUR: Record<string, (response: ServerResponse, count: number) => void> = {
  chat: (response) => response.end('ok'),
  down: (response) => { if (isUp) response.end(); },
  alarm: (response) => response.end(),
  elsewhere: (response) => response.end(),
  ...Object.fromEntries(ILL_CHANNELS.map(({ channel, answer }) => [channel, answer])),
};
const channelOf = ({ path: url }: Received) => url.split('/')[1] ?? '';

let receiver: Receiver;
let environment: KernelEnvironment;
let secrets: string;
beforeAll(async () => {
  receiver = await startReceiver((response, _count, message) => BEHAVIOUR[channelOf(message)]?.(response, receiver.received.filter((one) => one.path === message.path && keyOf(one) === keyOf(message)).length));
  secrets = await mkdtemp(path.join(tmpdir(), 'channels-'));
  await writeFile(path.join(secrets, 'secret'), `${SECRET}\n`, { mode: 0o600 });
  const channels = Object.fromEntries(await Promise.all(Object.keys(BEHAVIOUR).map(async (name) => {
    const [urlFile, timeout] = [path.join(secrets, name), '2s'];
    await writeFile(urlFile, `${receiver.origin}/${name}/${TOKEN}\n`, { mode: 0o600 });
    return [name, name === 'chat' || name.startsWith('slack-') ? { kind: 'slack', urlFile, timeout } : { kind: 'webhook', urlFile, timeout, secretFile: path.join(secrets, 'secret') }] as const;
  })));
  const gate = (...notify: string[]) => ({ start: { approvers: ['anna'], notify } });
  environment = await startKernelEnvironment(gate('chat', ...ILL_CHANNELS.map(({ channel }) => channel)), {}, { remote: gate('down'), free: gate('alarm'), ungated: {} }, { webUi: 'https://temporal.example.com', notifications: { channels, alarm: ['alarm'] } });
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

/** Everything in a history, payloads as the text that they are. */
function textOf(history: object): string {
  return JSON.stringify(history).replaceAll(/"data":"([A-Za-z0-9+/=]*)"/g, (_all, data: string) => Buffer.from(data, 'base64').toString('utf8'));
}

it('a gate that opens is told on every channel, at least once and recognisably, whatever receivers do with it', async () => {
  const run = await start({ database: 'shop' });
  await gateOpens(run);
  const { openGate } = await run.handle.query<Progress>('progress');
  for (const { channel, times } of [{ channel: 'chat', times: 1 }, ...ILL_CHANNELS]) {
    await until(() => Promise.resolve(sentTo(channel, run).length >= times), `${channel} has its message`);
  }
  const deliveries = await deliveriesOf(environment.client, run.handle);
  await until(async () => (await Promise.all(deliveries.map((delivery) => delivery.describe()))).every(({ status }) => status.name !== 'RUNNING'), 'all is delivered, or given up');

  for (const { kind, channel, times } of ILL_CHANNELS) {
    const messages = sentTo(channel, run);
    expect([channel, messages.length]).toEqual([channel, times]);
    expect([...new Set(messages.map(keyOf))]).toEqual([expect.stringMatching(new RegExp(`^${run.handle.firstExecutionRunId}-[0-9a-f\\-]{36}-${channel}$`, 'v'))]);
    expect(new Set(messages.map(({ body }) => body)).size).toBe(1);
    if (kind === 'slack') continue;
    for (const message of messages) expect(await isSigned(message, SECRET)).toBe(true);
    expect(noticeIn(messages[0]!)).toMatchObject({
      kind: 'gateOpened', runbook: 'toy', target: 'shop', requester: 'carol', gate: { name: 'start', planHash: openGate?.planHash, expiresAt: openGate?.expiresAt, approvers: ['anna'] },
      link: `https://temporal.example.com/namespaces/default/workflows/${encodeURIComponent(run.handle.workflowId)}/${run.handle.firstExecutionRunId}/history`,
    });
  }
  // A second is what it would have waited for otherwise.
  for (const kind of KINDS) {
    const [first, again] = sentTo(`${kind}-limits`, run) as [Received, Received];
    expect(again.atMs - first.atMs).toBeGreaterThan(2_900);
  }
  const [{ body: chat }] = sentTo('chat', run) as [Received];
  for (const told of ['• writes: one, two', '• code version: ', 'Requested by: carol', `Plan: ${openGate?.planHash}`, `Decide until: ${openGate?.expiresAt}`, 'https://temporal.example.com/']) expect(chat).toContain(told);

  // A redirect is followed nowhere. What is for a person to mend failed its delivery, and nothing else.
  expect(receiver.received.filter((one) => channelOf(one) === 'elsewhere')).toEqual([]);
  const ends = await Promise.all(deliveries.map((delivery) => delivery.result().then(() => 'delivered', (error: { cause?: { cause?: { message: string } } }) => error.cause?.cause?.message ?? '')));
  const refusals = KINDS.flatMap((kind) => Object.entries(REFUSED).map(([behaviour, status]) => expect.stringContaining(`channel "${kind}-${behaviour}" answered with HTTP ${status}; the message is not tried again`) as string));
  expect(ends.filter((end) => end !== 'delivered')).toHaveLength(refusals.length);
  expect(ends).toEqual(expect.arrayContaining(refusals));
  expect(ends).toHaveLength(1 + ILL_CHANNELS.length);
  for (const workflow of [run.handle, ...deliveries]) {
    const history = textOf(await workflow.fetchHistory());
    expect(history).toContain('gateOpened');
    for (const secret of [TOKEN, SECRET, receiver.origin]) expect(history).not.toContain(secret);
  }

  // The command that people copy, as it stands in the message.
  const command = /"```(runbook approve [^`]*)```"/.exec(chat)?.[1]?.replace('--by NAME', '--by anna') ?? '';
  expect(command).toBe(noticeIn(sentTo('webhook-fails', run)[0]!).commands.approve?.replace('--by NAME', '--by anna'));
  const { stdout } = await promisify(execFile)('sh', ['-c', command], { env: { ...process.env, PATH: `${fileURLToPath(new URL('../../dist/bin', import.meta.url))}:${process.env['PATH']}`, TEMPORAL_ADDRESS: environment.server.address } });
  expect(stdout).toContain('approve by anna counts at gate "start": enough approvals');
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
  const [delivery] = await deliveriesOf(environment.client, run.handle);
  expect((await delivery!.describe()).status.name).toBe('RUNNING');
  const before = sentTo('down', run).length;
  isUp = true;
  await delivery!.result();
  const messages = sentTo('down', run);
  expect(messages.length).toBe(before + 1);
  expect(new Set(messages.map(keyOf)).size).toBe(1);
  expect(messages.at(-1)!.atMs).toBeGreaterThan(Date.parse((await run.evidence()).finishedAt));
});

it('an abort takes back nothing that is being delivered', async () => {
  isUp = false;
  const run = await start({ database: 'remote' });
  await gateOpens(run);
  await until(() => Promise.resolve(sentTo('down', run).length > 0), 'delivery was tried');
  await run.handle.executeUpdate('abort', { args: [{ by: 'anna' }] });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'ABORTED' } });
  const [delivery] = await deliveriesOf(environment.client, run.handle);
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
  expect(new Set(sentTo('alarm', run).map(keyOf)).size).toBe(2);
  await newest.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] });
  await newest.result();
});

it('a run whose undo fails tells the alarm channel at once what it left behind', async () => {
  const run = await start({ database: 'ungated', failAt: 'two' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'PREFLIGHT' } });
  await until(() => Promise.resolve(sentTo('alarm', run).length > 0), 'the alarm is raised');
  await run.guardian.result();
  await Promise.all((await deliveriesOf(environment.client, run.guardian)).map((delivery) => delivery.result()));
  const messages = sentTo('alarm', run);
  expect(messages).toHaveLength(1);
  expect(await isSigned(messages[0]!, SECRET)).toBe(true);
  const notice = noticeIn(messages[0]!);
  expect(notice).toMatchObject({ kind: 'leftBehind', target: 'ungated', gate: null, commands: { look: `runbook status ${run.handle.workflowId}` } });
  for (const told of ['two cannot be undone', 'one cannot be undone']) expect(notice.lines.join('\n')).toContain(told);
  // It is another one to receivers once it says something else, as when a life that a reset made leaves more.
  expect(keyOf(messages[0]!)).toContain(`${run.handle.firstExecutionRunId}-left-${createHash('sha256').update(JSON.stringify(notice.lines[0])).digest('hex').slice(0, 12)}`);
});
