import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LockState } from '../../contracts/lock-state.ts';
import { lockId } from '../../contracts/guardian.ts';
import { INTERNAL, type Progress } from '../../contracts/messages.ts';
import { compensations } from '../../scripts/cli/compensations.ts';
import { withClient } from '../../scripts/cli/connect.ts';
import { RateMeter, runLines } from '../../scripts/cli/progress-lines.ts';
import { readRun } from '../../scripts/cli/run-view.ts';
import { extend, retry, skip } from '../../scripts/cli/steer.ts';
import { captureOutput } from '../support/captured-output.ts';
import { currentDetailsOf } from '../support/current-details.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** What the commands send, and what becomes of it. */
let environment: KernelEnvironment;
let address: string;
let output: ReturnType<typeof captureOutput>;

beforeAll(async () => {
  environment = await startKernelEnvironment({}, {}, { held: {}, gated: { start: { approvers: ['anna'], expiresAfter: '1h', assurance: 'claimed' } } }, { each: { failedSteps: { wait: '60s' } } });
  ({ address } = environment.server);
  await environment.startWorker();
});
afterAll(() => environment.stop());
beforeEach(() => { output = captureOutput(); });
afterEach(() => output.end());

const progress = ({ handle }: ToyRun) => handle.query<Progress>('progress');
const wrongUse = (sentence: string | RegExp) => ({ exitCode: 2, message: (typeof sentence === 'string' ? expect.stringContaining(sentence) : expect.stringMatching(sentence)) as string });

describe('a step that waits', () => {
  const failing = async (name: string): Promise<[string, ToyRun]> => {
    const run = await startToy(environment, { database: 'shop', failAt: name });
    await until(async () => (await progress(run)).waitingStep?.name === `write ${name}`, `step "write ${name}" waits`);
    return [run.handle.workflowId, run];
  };
  const operationsOf = async (run: ToyRun) => (await run.evidence()).operations.map(({ operation, by, reason, of, detail }) => [operation, by, reason, of, detail]);

  it('is tried again by `runbook retry`, with the input that it was given and with another, from a file too', async () => {
    const [id, run] = await failing('one');
    const options = { address, by: 'anna', reason: 'made room' };
    await expect(retry(id, { ...options, reason: ' ' })).rejects.toMatchObject(wrongUse('say why with --reason'));
    await expect(retry(id, { ...options, input: '{}', inputFile: 'x' })).rejects.toMatchObject(wrongUse('not with both'));
    await expect(retry(id, { ...options, input: '{' })).rejects.toMatchObject(wrongUse('the input is not JSON'));
    await expect(retry(id, { ...options, inputFile: join(environment.root, 'none') })).rejects.toMatchObject(wrongUse('cannot be read (ENOENT)'));
    await expect(retry(id, { ...options, step: 'write two' })).rejects.toMatchObject(wrongUse('retryStep was refused: step "write two" does not wait; "write one" does'));
    expect(await retry(id, options)).toBe(0);
    await until(async () => (await run.journal()).filter((line) => line === 'begin one').length >= 2 && (await progress(run)).waitingStep !== null, 'it has failed again');
    const inputFile = join(environment.root, 'input.json');
    await writeFile(inputFile, '{"fail":false}');
    expect(await retry(id, { ...options, inputFile, json: true })).toBe(0);
    expect(output.said()).toContain('step "write one" is tried again');
    await run.handle.result();
    expect(await operationsOf(run)).toEqual([['retryStep', 'anna', 'made room', 'write one', null], ['retryStep', 'anna', 'made room', 'write one', '{"fail":false}']]);
    await expect(retry(id, options)).rejects.toMatchObject(wrongUse(/is over|has ended|closed/));
  });

  it('is skipped by `runbook skip`, where its runbook allows that', async () => {
    const [one, run] = await failing('one');
    await expect(skip(one, { address, by: 'anna', reason: 'never mind' })).rejects.toMatchObject(wrongUse('does not allow step "write one" to be skipped'));
    await run.handle.terminate();
    const [two, other] = await failing('two');
    expect(await skip(two, { address, by: 'anna', reason: 'not needed today' })).toBe(0);
    expect(output.said()).toContain('step "write two" is skipped, which costs: two: it was not written');
    await other.handle.result();
    expect(await operationsOf(other)).toEqual([['skipStep', 'anna', 'not needed today', 'write two', expect.stringContaining('it was not written') as string]]);
  });
});

describe('a run whose target another one has', () => {
  it('says who has it and since when, and how many are before it, in the terminal and in the web UI', async () => {
    const holder = await startToy(environment, { database: 'held', failAt: 'one' });
    await until(async () => (await progress(holder)).waitingStep !== null, 'it has its target, and waits');
    const unanswering = { query: () => Promise.reject(new Error('the lock does not answer')) } as unknown as WorkflowHandle;
    const seen = async (run: ToyRun, prepare: (client: Client) => void = () => undefined) => withClient({ address }, async ({ client }) => (prepare(client), runLines(await readRun(client, run.handle.workflowId), new RateMeter(), Date.now()).join('\n')));
    const held = new RegExp(`held by toy ${holder.handle.workflowId} since ${new Date().getFullYear()}-`);
    const asked = async () => { const run = await startToy(environment, { database: 'held' }); await until(async () => held.test(await seen(run)), 'it has looked who has it'); return run; };
    const next = await asked();
    const last = await asked();
    expect(await seen(next)).toMatch(/; it is next$/m);
    expect(await seen(last)).toMatch(/; 1 before it$/m);
    const urgent = await startToy(environment, { database: 'held' }, undefined, { type: 'urgent-toy' });
    const queue = async () => (await environment.client.workflow.getHandle(lockId('held')).query<LockState>(INTERNAL.holders)).waiting.length;
    await until(async () => await queue() === 3, 'the lock has it in its queue');
    expect([await seen(next), await seen(last)], 'what the lock says now, and not what the run saw').toEqual([expect.stringMatching(/; 1 before it$/m), expect.stringMatching(/; 2 before it$/m)]);
    expect(await seen(next, (client) => void vi.spyOn(client.workflow, 'getHandle').mockImplementation((id, ...rest) => (id === lockId('held') ? unanswering : environment.client.workflow.getHandle(id, ...rest))))).toMatch(/; (it is next|1 before it), when it looked at \d{4}-/);
    expect((await currentDetailsOf(last.handle)).replaceAll('\\', '')).toMatch(held);
    for (const run of [last, next, urgent, holder]) await run.handle.terminate();
    await expect(compensations(holder.handle.workflowId, { address })).rejects.toMatchObject(wrongUse('has ended (terminated); an abort changes nothing'));
    await holder.guardian.result();
  });
});

describe('the gate of a run', () => {
  it('is extended by `runbook extend`, by a time and to an instant', async () => {
    const run = await startToy(environment, { database: 'gated', requester: 'rita' });
    await gateOpens(run);
    const id = run.handle.workflowId;
    const expiry = async () => Date.parse((await progress(run)).openGate!.expiresAt);
    const before = await expiry();
    const options = { address, by: 'anna', reason: 'on holiday' };
    await expect(extend(id, options)).rejects.toMatchObject(wrongUse('say to when with --until'));
    await expect(extend(id, { ...options, for: '4h', until: new Date(before).toISOString() })).rejects.toMatchObject(wrongUse('say to when with --until'));
    await expect(extend(id, { ...options, for: 'long' })).rejects.toMatchObject(wrongUse('"long" is not a duration'));
    await expect(extend(id, { ...options, by: 'mallory', for: '4h' })).rejects.toMatchObject(wrongUse('extendDeadline was refused: only who can approve at gate "start" can extend it'));
    await expect(extend(id, { ...options, gate: 'finish', for: '4h' })).rejects.toMatchObject(wrongUse('extendDeadline was refused'));
    expect(await extend(id, { ...options, for: '4h' })).toBe(0);
    expect(await expiry()).toBe(before + 4 * 3_600_000);
    const until = new Date(before + 5 * 3_600_000).toISOString();
    expect(await extend(id, { ...options, until })).toBe(0);
    expect(await expiry()).toBe(Date.parse(until));
    await run.handle.terminate();
  });

  it('is none where none is open, nor waits a step where none does', async () => {
    const run = await startToy(environment, { database: 'shop', stallMs: 5_000 });
    const id = run.handle.workflowId;
    await expect(extend(id, { address, for: '4h' })).rejects.toMatchObject(wrongUse(/no gate of ".*" is open .*nothing was sent/));
    await expect(skip(id, { address, reason: 'x' })).rejects.toMatchObject(wrongUse(/no step of ".*" waits for an operator .*nothing was sent/));
    await run.handle.terminate();
  });
});
