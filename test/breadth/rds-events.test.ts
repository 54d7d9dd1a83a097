import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Drill, type RdsDrills, startRdsDrills } from '../support/rds-drills.ts';
import { createRdsQueue } from '../support/rds-queue.ts';

/** Waits that RDS tells when to look. */
let drills: RdsDrills;
beforeAll(async () => { drills = await startRdsDrills(); });
afterAll(() => drills.stop());
beforeEach(async () => {
  await drills.lab.control.clearFaults();
  await drills.lab.control.clearCalls();
  await drills.lab.control.durations({ restore: 3_000, modify: 200 });
});

/** Nobody who only looks would be in time: the first look comes after hours. */
const SELDOM = '1h';
const IN_TIME_MS = 2_000;
let queues = 0;
const queue = (options?: Parameters<typeof createRdsQueue>[3]) => createRdsQueue(drills.lab, drills.rds, `events-${queues += 1}`, options);
const restored = async (drill: Drill) => {
  await drill.provider.openPlace(drill.ref);
  return drill.restore();
};
/** How long after the last event of a restore it was noticed, in milliseconds. */
async function lateMs({ name, said }: Drill, status: string, event: string): Promise<number> {
  const noticed = said.find(({ phase }) => phase.startsWith(`RDS says: ${status}`))!;
  const told = (await drills.lab.control.events()).filter(({ source, message }) => source === name && message.includes(event)).at(-1)!;
  return noticed.at - Date.parse(told.at);
}
const calls = async (action: string) => (await drills.lab.control.calls()).filter((call) => call.action === action).length;
const told = (instance: string, message: string) => JSON.stringify({ Type: 'Notification', Message: JSON.stringify({ 'Event Source': 'db-instance', 'Source ID': instance, 'Event Message': message }) });

// A machine with other work on it may be late itself, once: others then have had a message so often that it rests, and the first look comes after hours.
describe('a restore whose events come to a queue', { retry: 2, timeout: 120_000 }, () => {
  it.each([false, true])('is noticed within 2 s of its event, and its messages are removed (raw delivery: %s)', async (raw) => {
    const events = await queue({ raw });
    const drill = drills.drill({ lookEvery: SELDOM, events: { queueUrl: events.queueUrl } });
    expect((await restored(drill)).made).toBe(`RDS instance ${drill.name}, db.t4g.micro, 20 GiB of gp2`);
    const late = await lateMs(drill, 'available', 'DB instance created');
    console.log(`noticed ${late} ms after its event, by ${await calls('DescribeDBInstances')} looks`);
    expect(late).toBeLessThanOrEqual(IN_TIME_MS);
    expect(await calls('DescribeDBInstances')).toBeLessThan(10);
    await drill.close();
  });

  it('is noticed at once where it failed', async () => {
    const events = await queue();
    const drill = drills.drill({ lookEvery: SELDOM, events: { queueUrl: events.queueUrl } });
    await drills.lab.control.failNextRestore({ status: 'incompatible-network', reason: 'no addresses are left.' });
    await expect(restored(drill)).rejects.toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringContaining('no addresses are left') as string });
    expect(await lateMs(drill, 'incompatible-network', 'no addresses are left')).toBeLessThanOrEqual(IN_TIME_MS);
    await drill.close();
  });

  it('is noticed though several share the queue with messages of nobody; what is another\'s is never removed', async () => {
    const events = await queue({ subscriptions: 2 });
    const ofNobody = ['{', 'null', '[]', '{"Message":7}', '{"Message":"null"}', `{"Message":"${'['.repeat(50_000)}"}`, told('prod', 'DB instance restarted'), told('runbooks-d-of-another', 'DB instance created'), '<xml/>'];
    for (const body of ofNobody) await events.send(body);
    const three = [0, 1, 2].map(() => drills.drill({ lookEvery: SELDOM, events: { queueUrl: events.queueUrl } }));
    for (const one of three) await one.provider.openPlace(one.ref);
    await Promise.all(three.map((one) => one.restore()));
    const late = await Promise.all(three.map((one) => lateMs(one, 'available', 'DB instance created')));
    console.log(`noticed ${late.join(', ')} ms after their events, by ${await calls('ReceiveMessage')} calls for messages`);
    for (const one of late) expect(one).toBeLessThanOrEqual(IN_TIME_MS);
    expect(await events.count()).toBeGreaterThanOrEqual(ofNobody.length);
    expect(await calls('ReceiveMessage')).toBeLessThan(150);
    await Promise.all(three.map((one) => one.close()));
  });

  it('is not taken for ready because a message says so', async () => {
    const events = await queue();
    const drill = drills.drill({ lookEvery: SELDOM, events: { queueUrl: events.queueUrl } });
    await events.send(told(drill.name.toUpperCase(), 'DB instance created'));
    const begun = Date.now();
    await restored(drill);
    expect(Date.now() - begun).toBeGreaterThan(3_000);
    expect(drill.said.map(({ phase }) => phase)).toContain('RDS says: creating');
    // It tells no percentage here, and never bytes.
    expect(drill.said.filter(({ bytesDone, bytesTotal }) => bytesDone > 0 || bytesTotal > 0)).toEqual([]);
    await drill.close();
  });

  it('is noticed though the reply with its message was lost, and though the queue did not answer for a while', async () => {
    const events = await queue();
    const drill = drills.drill({ lookEvery: SELDOM, events: { queueUrl: events.queueUrl } });
    await drill.provider.openPlace(drill.ref);
    await drills.lab.control.fault({ kind: 'serverError', service: 'sqs', action: 'ReceiveMessage', calls: 3 });
    await drills.lab.control.fault({ kind: 'lostReply', service: 'sqs', action: 'ReceiveMessage', after: 3, calls: 1 });
    await drills.lab.control.fault({ kind: 'lostReply', service: 'sqs', action: 'DeleteMessage', calls: 1 });
    expect((await drill.restore()).made).not.toContain('could not be heard');
    expect((await drills.lab.control.faults()).map(({ struck }) => struck)).toEqual([3, 1, 1]);
    await drill.close();
  });
});

describe('a restore whose events cannot be heard', () => {
  it.each([
    ['there is no such queue', undefined], ['it may not be read', 'ReceiveMessage'], ['messages of others could not be given back', 'ChangeMessageVisibility'],
  ])('is looked at instead, which is said: %s', async (_why, denied) => {
    const events = await queue();
    await events.send(told('prod', 'DB instance restarted'));
    if (denied) await drills.lab.control.fault({ kind: 'denied', service: 'sqs', action: denied });
    const drill = drills.drill({ lookEvery: '1s', events: { queueUrl: denied ? events.queueUrl : `${events.queueUrl}-gone` } });
    const begun = Date.now();
    expect((await restored(drill)).made).toMatch(/^RDS instance \S+, db\.t4g\.micro, 20 GiB of gp2; it was looked at only, since its events could not be heard: .*(not exist|not authorized to perform)/);
    expect(Date.now() - begun).toBeLessThan(15_000);
    expect(await calls('ReceiveMessage')).toBeLessThanOrEqual(2);
    await drill.close();
  });

  it('is looked at where messages are lost', async () => {
    const events = await queue({ subscriptions: 0 });
    const drill = drills.drill({ lookEvery: '1s', events: { queueUrl: events.queueUrl } });
    expect((await restored(drill)).made).not.toContain('could not be heard');
    await drill.close();
  });
});

it('a wait for events ends with its signal, at once', async () => {
  const events = await queue({ subscriptions: 0 });
  const drill = drills.drill({ lookEvery: SELDOM, events: { queueUrl: events.queueUrl } });
  await drill.provider.openPlace(drill.ref);
  const cancelled = new AbortController();
  const ended = drill.restore(cancelled.signal).catch((error: unknown) => error);
  await sleep(1_500);
  const at = Date.now();
  cancelled.abort(new Error('cancelled'));
  expect(await ended).toMatchObject({ message: 'cancelled' });
  // SQS would hold its answer for twenty seconds.
  expect(Date.now() - at).toBeLessThan(5_000);
  await drill.close();
});

it('what is asked of SQS is what docs/reference/iam/rds-drills-events.json allows, all of it', async () => {
  const events = await queue();
  await events.send(told('prod', 'DB instance restarted'));
  const drill = drills.drill({ lookEvery: SELDOM, events: { queueUrl: events.queueUrl } });
  await drills.lab.control.clearCalls();
  await restored(drill);
  const asked = new Set((await drills.lab.control.calls()).filter(({ service }) => service === 'sqs').map(({ service, action }) => `${service}:${action}`));
  const { Statement } = JSON.parse(await readFile(new URL('../../docs/reference/iam/rds-drills-events.json', import.meta.url), 'utf8')) as { Statement: { Action: string[] }[] };
  expect([...asked].toSorted()).toEqual(Statement.flatMap(({ Action }) => Action).toSorted());
  await drill.close();
});
