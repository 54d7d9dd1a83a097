import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createNotifyActivities } from '../../activities/notify/create-notify-activities.ts';
import { messageOf } from '../../activities/notify/message.ts';
import { slackPayload } from '../../activities/notify/slack.ts';
import { channelSchema, type Notice } from '../../contracts/notification.ts';
import { examineChannels } from '../../scripts/cli/doctor-channels.ts';
import { loadConfiguration, resolveSecret } from '../../workers/config.ts';
import { keyOf, startReceiver, type Receiver } from '../support/receiver.ts';
import { isSigned } from '../support/standard-webhook.ts';

const PLAN = '5ca1ab1e'.repeat(8);
/** In the address of each channel: nobody may see it. */
const TOKEN = 'T0KEN-OF-THE-ADDRESS';
const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const GATE = { name: 'start', planHash: PLAN, expiresAt: '2026-12-01T00:00:00.000Z', approvers: ['anna', 'ben'], quorum: 2, assurance: 'claimed' };
const NOTICE: Notice = {
  kind: 'gateOpened', id: '0190-1', at: '2026-11-21T03:00:00.000Z', runbook: 'dr-test', target: 'orders', workflowId: 'dr-test/orders/1', runId: 'r-1', requester: 'carol', reason: 'audit', lines: ['plan: 3 tables'], gate: GATE,
};
/** Failing attempts are what these tests are about: the SDK's warnings of them would bury the results. */
const QUIET = { logger: new DefaultLogger('ERROR') };
const SERVER = { webUi: 'https://temporal.example.com/', namespace: 'default' };

let directory: string;
let receiver: Receiver | undefined;
beforeAll(async () => { directory = await mkdtemp(join(tmpdir(), 'notify-')); });
afterAll(() => rm(directory, { recursive: true }));
afterEach(async () => { vi.unstubAllEnvs(); await receiver?.stop(); receiver = undefined; });

/** A channel of each kind at `address`, with its secrets in real files. */
async function channelsAt(address: string, secret = SECRET) {
  const [urlFile, secretFile] = [join(directory, 'url'), join(directory, 'secret')];
  await writeFile(urlFile, `${address}\n`, { mode: 0o600 });
  await writeFile(secretFile, `${secret}\n`, { mode: 0o600 });
  return { chat: channelSchema.parse({ kind: 'slack', urlFile, timeout: '1s' }), hook: channelSchema.parse({ kind: 'webhook', urlFile, secretFile, timeout: '1s' }) };
}

async function deliver(channels: Awaited<ReturnType<typeof channelsAt>>, channel: string, notice = NOTICE): Promise<ApplicationFailure | undefined> {
  const activities = createNotifyActivities({ configuration: { notifications: { channels, alarm: [] }, webUi: SERVER.webUi }, namespace: 'default', resolveSecret });
  return new MockActivityEnvironment({}, QUIET).run(() => activities.deliver({ channel, notice })).then(() => undefined, (error: ApplicationFailure) => error);
}

/** What became of a message of this channel at a receiver that answers like this. */
async function answered(answer: (response: ServerResponse) => void, channel = 'hook') {
  receiver = await startReceiver((response) => answer(response));
  return deliver(await channelsAt(`${receiver.origin}/${TOKEN}`), channel);
}

describe('a message', () => {
  it.each([
    ['claimed', `runbook approve dr-test/orders/1 --by NAME --plan-hash ${PLAN}`], ['none', `runbook approve dr-test/orders/1 --by NAME --plan-hash ${PLAN}`],
    ['principal', `runbook approve dr-test/orders/1 --plan-hash ${PLAN}`], ['signature', `runbook approve dr-test/orders/1 --sign KEY --plan-hash ${PLAN}`],
  ])('has the command that a gate of assurance %s takes', (assurance, approve) => {
    const { commands } = messageOf({ ...NOTICE, gate: { ...GATE, assurance } }, SERVER);
    expect(commands).toEqual({ look: 'runbook status dr-test/orders/1', approve, reject: approve.replace('approve', 'reject') });
  });

  it('names the namespace, quotes an id that a shell would take apart, and links into the web UI', () => {
    const { commands, link } = messageOf({ ...NOTICE, workflowId: `a'; rm -rf ~ #` }, { webUi: 'https://t.example.com', namespace: 'my ops' });
    expect(commands.look).toBe(`runbook status 'a'\\''; rm -rf ~ #' --namespace 'my ops'`);
    expect(link).toBe(`https://t.example.com/namespaces/my%20ops/workflows/a'%3B%20rm%20-rf%20~%20%23/r-1/history`);
    expect(messageOf({ ...NOTICE, gate: null }, { webUi: undefined, namespace: 'default' })).toMatchObject({ link: null, commands: { look: 'runbook status dr-test/orders/1' } });
    expect(messageOf({ ...NOTICE, gate: null }, SERVER).commands.approve).toBeUndefined();
  });
});

describe('for Slack', () => {
  const payloadOf = (over: Partial<Notice> = {}) => slackPayload(messageOf({ ...NOTICE, ...over }, SERVER), '0190-1-chat');
  const textsOf = (payload: ReturnType<typeof slackPayload>, type: 'plain_text' | 'mrkdwn') => payload.blocks.flatMap((block) => (block.type === 'context' ? block.elements : [block.text])).filter((text) => text.type === type).map(({ text }) => text);
  const unescaped = (text: string) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

  it('says what, why, who, the plan, the deadline, where to look and what to type', () => {
    const payload = payloadOf();
    expect(payload).toMatchObject({ text: 'dr-test of orders waits for a decision at gate "start"', mrkdwn: false });
    expect(payload.blocks[0]).toEqual({ type: 'header', text: { type: 'plain_text', emoji: false, text: payload.text } });
    expect(textsOf(payload, 'plain_text')[1]).toBe(['Run: dr-test/orders/1', 'Requested by: carol', 'Reason: audit', `Plan: ${PLAN}`, `Decide until: ${GATE.expiresAt}`, 'Who decides: anna, ben; 2 approvals needed, assurance claimed'].join('\n'));
    expect(textsOf(payload, 'plain_text')[2]).toBe('• plan: 3 tables');
    expect(textsOf(payload, 'mrkdwn')).toEqual([
      '<https://temporal.example.com/namespaces/default/workflows/dr-test%2Forders%2F1/r-1/history|Open the run in the web UI>',
      `\`\`\`runbook approve dr-test/orders/1 --by NAME --plan-hash ${PLAN}\`\`\``, `\`\`\`runbook reject dr-test/orders/1 --by NAME --plan-hash ${PLAN}\`\`\``,
    ]);
    expect(textsOf(payloadOf({ gate: null, kind: 'stepWaits' }), 'mrkdwn').at(-1)).toBe('```runbook status dr-test/orders/1```');
  });

  it('lets text of others call nobody, format nothing and lead nowhere', () => {
    const nasty = '<!channel> <@U1> <https://evil.example|approve here> & *bold* ```code``` @here\n*Approved by* anna';
    const payload = payloadOf({ reason: nasty, requester: nasty, lines: [nasty], target: nasty, workflowId: nasty, gate: { ...GATE, name: nasty, approvers: [nasty] } });
    const others = [payload.text, ...textsOf(payload, 'plain_text')];
    for (const text of others) expect(text.replaceAll(/&(?:amp|lt|gt);/g, '')).not.toMatch(/[&<>]/);
    expect(others[2]).toContain('Reason: &lt;!channel&gt; &lt;@U1&gt; &lt;https://evil.example|approve here&gt; &amp; *bold* ```code``` @here *Approved by* anna\n');
    // In mark-up stands our link alone; commands with a backtick would break out of their code.
    expect(textsOf(payload, 'mrkdwn')).toEqual([expect.stringMatching(/^<https:\/\/temporal\.example\.com\/namespaces\/default\/workflows\/[^<>|\s]*\|Open the run in the web UI>$/) as string]);
    expect(others.map(unescaped)).toContain(messageOf({ ...NOTICE, workflowId: nasty }, SERVER).commands.approve);
  });

  it('keeps to the limits of Slack, and cuts no escaped character in two', () => {
    const payload = payloadOf({ reason: '&'.repeat(5_000), target: '<'.repeat(400), lines: ['>'.repeat(4_000), ...Array.from({ length: 400 }, (_, index) => `step ${index} & more`)] });
    for (const text of [...textsOf(payload, 'plain_text'), ...textsOf(payload, 'mrkdwn')]) expect(text.length).toBeLessThanOrEqual(3_000);
    expect(textsOf(payload, 'plain_text')[0]?.length).toBeLessThanOrEqual(150);
    for (const text of [payload.text, ...textsOf(payload, 'plain_text')]) expect(text.replaceAll(/&(?:amp|lt|gt);/g, '')).not.toMatch(/[&<>]/);
    expect(textsOf(payload, 'plain_text')[2]).toMatch(/\n• step 8 &amp; more\n[^]*… and \d+ more: look at the run$/);
    expect(payload.blocks.length).toBeLessThanOrEqual(50);
    // A command that is cut would do something else.
    expect(textsOf(payloadOf({ workflowId: 'x'.repeat(3_000) }), 'mrkdwn')).toEqual([]);
  });

  it('carries what it is known by where it comes twice: whole for apps, short at its foot for people', () => {
    const of = (id: string, kind: Notice['kind'] = 'gateOpened') => slackPayload(messageOf({ ...NOTICE, kind }, SERVER), id);
    const foot = (payload: ReturnType<typeof slackPayload>) => JSON.stringify(payload.blocks.filter(({ type }) => type === 'context'));
    expect(of('a-chat', 'gateReminder').metadata).toEqual({ event_type: 'runbook_notice', event_payload: { id: 'a-chat', kind: 'gateReminder' } });
    expect(of('a-chat').blocks.at(-1)).toEqual({ type: 'context', elements: [{ type: 'plain_text', emoji: false, text: expect.stringMatching(/^Message [0-9a-f]{12}: /) as string }] });
    expect(foot(of('a-chat'))).toBe(foot(of('a-chat', 'gateReminder')));
    expect(foot(of('a-chat'))).not.toBe(foot(of('b-chat')));
  });

  it('is posted as JSON to the address', async () => {
    expect(await answered((response) => response.end('ok'), 'chat')).toBeUndefined();
    expect(receiver?.received).toMatchObject([{ method: 'POST', path: `/${TOKEN}`, headers: { 'content-type': 'application/json' } }]);
    expect(JSON.parse(receiver?.received[0]?.body ?? '')).toEqual(payloadOf());
    expect(receiver?.received[0]?.headers['webhook-id']).toBeUndefined();
  });
});

describe('for a webhook', () => {
  it('is signed as the specification has it', async () => {
    // The specification's own example, for the code that looks.
    const example = { headers: { 'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek', 'webhook-timestamp': '1614265330', 'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=' }, body: '{"test": 2432232314}' };
    expect(await isSigned(example, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')).toBe(true);

    expect(await answered((response) => response.writeHead(204).end())).toBeUndefined();
    const [message] = receiver!.received;
    expect(await isSigned(message!, SECRET)).toBe(true);
    expect(await isSigned({ ...message!, body: message!.body.replace('carol', 'anna') }, SECRET)).toBe(false);
    expect(await isSigned(message!, `whsec_${randomBytes(32).toString('base64')}`)).toBe(false);
    expect(message?.headers['webhook-id']).toBe('0190-1-hook');
    expect(Math.abs(Number(message?.headers['webhook-timestamp']) - Date.now() / 1_000)).toBeLessThan(10);
    const { link, commands, ...notice } = JSON.parse(message!.body) as Record<string, unknown>;
    expect(notice).toEqual(NOTICE);
    expect({ link, commands }).toEqual({ link: messageOf(NOTICE, SERVER).link, commands: messageOf(NOTICE, SERVER).commands });
    expect(Object.keys(JSON.parse(message!.body) as object)).toEqual(['at', 'commands', 'gate', 'id', 'kind', 'lines', 'link', 'reason', 'requester', 'runId', 'runbook', 'target', 'workflowId']);
  });
});

describe.each(['hook', 'chat'])('channel "%s"', (channel) => {
  it('gives a message the same id at each attempt, another to each message, and one that a header takes whatever it is made of', async () => {
    receiver = await startReceiver((response) => response.end());
    const channels = await channelsAt(receiver.origin);
    for (const id of ['a', 'a', 'b', 'a.b\r\nx: y', 'ü'.repeat(300)]) expect(await deliver(channels, channel, { ...NOTICE, id })).toBeUndefined();
    const [first, again, other, ...odd] = receiver.received.map(keyOf);
    expect([first, again, other]).toEqual([`a-${channel}`, `a-${channel}`, `b-${channel}`]);
    for (const id of odd) expect(id).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([200, 201, 202, 204])('%i: it is delivered', async (status) => {
    expect(await answered((response) => response.writeHead(status).end(), channel)).toBeUndefined();
  });

  it.each([408, 425, 429, 500, 502, 503])('%i: it is tried again', async (status) => {
    expect(await answered((response) => response.writeHead(status).end(), channel)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false, message: `channel "${channel}" answered with HTTP ${status}`, nextRetryDelay: undefined });
  });

  it.each([301, 307, 400, 401, 403, 404, 410, 413, 422])('%i: a person must look, and is told at what', async (status) => {
    expect(await answered((response) => response.writeHead(status, status < 400 ? { location: '/elsewhere' } : {}).end(), channel)).toMatchObject({ type: 'CONFIGURATION', nonRetryable: true, message: expect.stringMatching(new RegExp(`^channel "${channel}" answered with HTTP ${status}; .*: .*address`)) as string });
    expect(receiver?.received).toHaveLength(1);
  });

  it.each([
    [429, '30', 30_000], [503, '30', 30_000], [429, '86400', 600_000], [429, new Date(Date.now() + 60_000).toUTCString(), 60_000], [500, '30', undefined],
    [503, 'soon', undefined], [503, '0', undefined], [503, '-5', undefined], [503, new Date(0).toUTCString(), undefined],
  ])('%i with Retry-After %s: it is put off, for ten minutes at most', async (status, after, delay) => {
    const failure = await answered((response) => response.writeHead(status, { 'retry-after': after }).end(), channel);
    // An instant is written in whole seconds, and some have passed.
    expect(delay === undefined ? failure?.nextRetryDelay : Math.ceil(Number(failure?.nextRetryDelay) / 10_000) * 10_000).toBe(delay);
  });

  it('an answer that never ends is not read', async () => {
    expect(await answered((response) => { response.writeHead(200); response.write('x'.repeat(1_000)); }, channel)).toBeUndefined();
  });

  it('no answer: it is tried again', async () => {
    expect(await answered(() => undefined, channel)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false, message: `channel "${channel}" did not answer within 1000 ms` });
  });

  it('an answer that is lost, of a receiver that has taken the message: it comes twice, and is known by its id', async () => {
    receiver = await startReceiver((response, count) => { if (count === 1) response.socket?.destroy(); else response.end(); });
    const channels = await channelsAt(receiver.origin);
    expect(await deliver(channels, channel)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false, message: expect.stringContaining(`channel "${channel}" cannot be reached`) as string });
    expect(await deliver(channels, channel)).toBeUndefined();
    expect(receiver.received.map(keyOf)).toEqual([`0190-1-${channel}`, `0190-1-${channel}`]);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
  });

  it('an attempt ends when the worker does', async () => {
    receiver = await startReceiver(() => undefined);
    const environment = new MockActivityEnvironment({}, QUIET);
    const { hook, chat } = await channelsAt(receiver.origin);
    const activities = createNotifyActivities({ configuration: { notifications: { channels: { chat: { ...chat, timeout: 60_000 }, hook: { ...hook, timeout: 60_000 } }, alarm: [] } }, namespace: 'default', resolveSecret });
    setTimeout(() => environment.cancel('WORKER_SHUTDOWN'), 100);
    await expect(environment.run(() => activities.deliver({ channel, notice: NOTICE }))).rejects.toMatchObject({ type: 'UNAVAILABLE', message: `the worker stopped while it waited for channel "${channel}"` });
  });
});

describe('no secret', () => {
  /** A port where nobody listens, and one whose listener does not speak HTTP. */
  async function ports() {
    const garbled = createServer((socket) => socket.end(`garbage ${TOKEN}\r\n\r\n`));
    await new Promise<void>((resolve) => garbled.listen(0, '127.0.0.1', resolve));
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const of = (server: typeof closed) => (server.address() as AddressInfo).port;
    const found = { garbled: of(garbled), closed: of(closed), stop: () => garbled.close() };
    await new Promise((resolve) => closed.close(resolve));
    return found;
  }

  it('is in what a failure says, whatever failed', async () => {
    receiver = await startReceiver((response, count) => { if (count < 9) response.writeHead([500, 404, 302, 400][count % 4] ?? 500, { location: `/${TOKEN}` }).end(TOKEN); });
    const { garbled, closed, stop } = await ports();
    const addresses = [
      ...Array.from({ length: 9 }, () => `${receiver!.origin}/${TOKEN}`), `http://127.0.0.1:${closed}/${TOKEN}`, `http://127.0.0.1:${garbled}/${TOKEN}`, `https://127.0.0.1:${garbled}/${TOKEN}`,
      `http://${TOKEN}.invalid/x`, `http://user:${TOKEN}@127.0.0.1:${closed}/x`, `not an address ${TOKEN}`, `file:///${TOKEN}`, `http://127.0.0.1:25/${TOKEN}`,
    ];
    const failures = [];
    for (const address of addresses) failures.push(await deliver(await channelsAt(address), 'hook'));
    for (const secret of ['', `wrong ${TOKEN}`, `whsec_${TOKEN}`, 'whsec_c2hvcnQ=']) failures.push(await deliver(await channelsAt(`http://127.0.0.1:${closed}/`, secret), 'hook'));
    const { hook, chat } = await channelsAt('http://127.0.0.1/');
    // The address itself, where its file is to be named.
    failures.push(await deliver({ chat, hook: { ...hook, urlFile: `https://hooks.example.com/${TOKEN}` } }, 'hook'));
    stop();
    for (const failure of failures) {
      expect(failure).toBeInstanceOf(Error);
      expect(['UNAVAILABLE', 'CONFIGURATION']).toContain(failure?.type);
      const all = inspect(failure, { depth: 20, showHidden: true });
      for (const secret of [TOKEN, SECRET, SECRET.slice('whsec_'.length)]) expect(all).not.toContain(secret);
    }
    expect(failures.slice(13, 16).map((failure) => failure?.message)).toEqual([expect.stringContaining('urlFile holds an address with a user or password; leave them out') as string, ...['', ''].map(() => expect.stringContaining('urlFile holds no address; put one there') as string)]);
    const [unsigned, unread] = ['secretFile holds no secret that can sign', 'File names a file that cannot be read, or is empty'];
    expect(failures.slice(-5).map((failure) => failure?.message)).toEqual([unread, unsigned, unsigned, unsigned, unread].map((why) => expect.stringContaining(why) as string));
    expect(failures.slice(9, 11)).toMatchObject([{ message: 'channel "hook" cannot be reached (ECONNREFUSED)' }, { message: expect.stringContaining('channel "hook" cannot be reached (HPE_') as string }]);
  });
});

describe('our own side', () => {
  it('that is wrong is told with the setting, and tried again: the message arrives once it is mended', async () => {
    const channels = await channelsAt('http://127.0.0.1/');
    const open = { type: 'CONFIGURATION', nonRetryable: false };
    expect(await deliver(channels, 'pager')).toMatchObject({ ...open, message: 'there is no channel "pager" under notifications.channels; add it, and start the worker anew' });
    expect(await deliver(channels, 'constructor')).toMatchObject({ ...open, message: expect.stringContaining('there is no channel "constructor"') as string });
    expect(await deliver({ ...channels, hook: { ...channels.hook, urlFile: join(directory, 'none') } }, 'hook')).toMatchObject({ ...open, message: expect.stringMatching(/^notifications\.channels\.hook\.urlFile names a file that cannot be read, or is empty \(ENOENT\); put the address there/) as string });
    const fromVariable = { ...channels, chat: channelSchema.parse({ kind: 'slack', urlEnv: 'NO_SUCH_ADDRESS', timeout: '1s' }) };
    expect(await deliver(fromVariable, 'chat')).toMatchObject({ ...open, message: expect.stringContaining('notifications.channels.chat.urlEnv names a variable that is not set') as string });
    receiver = await startReceiver((response) => response.end());
    vi.stubEnv('NO_SUCH_ADDRESS', receiver.origin);
    expect(await deliver(fromVariable, 'chat')).toBeUndefined();
  });

  it('is looked at by the doctor, which sends nothing and shows no secret', async () => {
    receiver = await startReceiver((response) => response.end());
    const channels = await channelsAt(`${receiver.origin}/${TOKEN}`);
    const other = channelSchema.parse({ kind: 'slack', urlEnv: 'OPEN_ADDRESS', timeout: '1s' });
    vi.stubEnv('OPEN_ADDRESS', `http://chat.example.com/${TOKEN}`);
    const examine = (all: Record<string, typeof other>) => examineChannels({ notifications: { channels: all, alarm: [] } });
    const well = await examine({ ...channels, other });
    expect(well).toMatchObject([
      { about: 'notifications', name: 'channel chat', outcome: 'ok', detail: 'its address can be read; nothing was sent' }, { name: 'channel hook', outcome: 'ok', detail: 'its address and its secret can be read; nothing was sent' }, { name: 'channel other', outcome: 'warning' },
    ]);
    const ill = await examine({ chat: { ...channels.chat, urlFile: join(directory, 'none') }, hook: (await channelsAt(receiver.origin, `whsec_${TOKEN}`)).hook });
    expect(ill).toMatchObject([
      { name: 'channel chat', outcome: 'problem', detail: 'notifications.channels.chat.urlFile names a file that cannot be read, or is empty (ENOENT)', todo: expect.stringContaining('put the address there') as string },
      { name: 'channel hook', outcome: 'problem', detail: 'notifications.channels.hook.secretFile holds no secret that can sign', todo: expect.stringContaining('whsec_') as string },
    ]);
    expect(JSON.stringify([well, ill])).not.toContain(TOKEN);
    expect(receiver.received).toEqual([]);
    expect(await examine({})).toEqual([]);
  });

  it('has files beside the configuration, which others must not read, and time limits that an attempt can keep', async () => {
    const file = join(directory, 'runbooks.yaml');
    const yaml = (timeout: string) => `version: 1\nnotifications:\n  channels:\n    hook: { kind: webhook, urlFile: open, secretFile: none, timeout: ${timeout} }\n    chat: { kind: slack, urlFile: closed }\ndatabases:\n  shop: { connection: {}, provider: { kind: archive, repository: r, walDirectory: w } }\n`;
    await writeFile(join(directory, 'open'), '', { mode: 0o644 });
    await writeFile(join(directory, 'closed'), '', { mode: 0o600 });
    await writeFile(file, yaml('45s'));
    const { configuration: { notifications }, warnings } = await loadConfiguration(file);
    expect(notifications.channels).toMatchObject({ hook: { urlFile: join(directory, 'open'), secretFile: join(directory, 'none') }, chat: { urlFile: join(directory, 'closed') } });
    expect(warnings).toEqual([`notifications.channels.hook.urlFile: everybody on this host can read ${join(directory, 'open')}; run chmod 600 ${join(directory, 'open')}`]);
    await writeFile(file, yaml('2m'));
    await expect(loadConfiguration(file)).rejects.toThrow(/notifications\.channels\.hook\.timeout: .*at most 45s/);
  });
});
