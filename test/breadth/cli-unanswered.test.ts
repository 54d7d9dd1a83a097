import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { Context } from '@temporalio/activity';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunRecord } from '../../contracts/record.ts';
import type { Progress } from '../../contracts/messages.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { approve, type DecideOptions } from '../../scripts/cli/decide.ts';
import { examineTemporal } from '../../scripts/cli/doctor-temporal.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** What `runbook approve` prints where nobody answers: the signal that it prints is worth no more than what was asked for. */
let environment: KernelEnvironment;
let key: string;
beforeAll(async () => {
  environment = await startKernelEnvironment({ start: { approvers: ['anna', 'ben'], expiresAfter: '10m' } });
  key = path.join(environment.root, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
});
afterAll(() => environment.stop());

const open = async () => {
  const run = await startToy(environment, { database: 'shop', requester: 'rita' });
  await gateOpens(run);
  return { run, planHash: (await run.handle.query<Progress>('progress')).openGate?.planHash ?? '' };
};
const said = ({ handle }: ToyRun, options: DecideOptions = {}) => approve(handle.workflowId, { address: environment.server.address, by: 'anna', ...options }).then((code) => `code ${code}`, (error: Error) => error.message);
const signalIn = (text: string): object | undefined => {
  expect(text).toContain('no worker answers');
  const input = /temporal workflow signal .*--input '([^']*)'/.exec(text)?.[1];
  return input === undefined ? undefined : JSON.parse(input) as object;
};

it('the signal names the plan that the command named, and so counts for no other', async () => {
  const worker = await environment.startWorker();
  const { run, planHash } = await open();
  await worker.stop();
  const [named, other, unnamed, signed] = await Promise.all([said(run, { planHash: planHash.slice(0, 32) }), said(run, { planHash: '0'.repeat(32) }), said(run), said(run, { sign: key, planHash })]);
  expect(signalIn(named)).toEqual({ gate: 'start', by: 'anna', planHash: planHash.slice(0, 32) });
  expect(signalIn(unnamed)).toEqual({ gate: 'start', by: 'anna' });
  // What was to be signed counts for nothing where it is not.
  expect(signalIn(signed)).toBeUndefined();
  await run.handle.signal('approve', signalIn(other));
  const again = await environment.startWorker();
  const decisions = async () => (await run.handle.query<RunRecord>('record')).gates[0]?.decisions ?? [];
  await until(async () => (await decisions()).length > 0, 'it is judged');
  expect(await decisions()).toMatchObject([{ by: 'anna', counted: false, planSeen: 'given', reason: expect.stringContaining('the plan that was seen (000000000000) is not the plan') as string }]);
  await run.handle.terminate();
  await again.stop();
});

it('where a worker told the plan and came to no answer, the signal is bound to that plan, and is none for what is signed', async () => {
  const worker = await environment.startWorker({ identifyUpdate: () => Context.current().cancelled });
  const { run, planHash } = await open();
  expect(signalIn(await said(run))).toEqual({ gate: 'start', by: 'anna', planHash, planHashFilledIn: true });
  expect(signalIn(await said(run, { sign: key }))).toBeUndefined();
  await run.handle.terminate();
  await worker.stop();
});

it('doctor says of a server that is not there what it tried, and how to have one', async () => {
  const configuration = configurationSchema.parse({ version: 1, databases: { shop: { connection: {}, provider: { kind: 'archive', repository: '/none', walDirectory: '/none' } } } });
  expect(await examineTemporal({ address: '127.0.0.1:1', tls: false }, configuration)).toEqual([{
    about: 'temporal', name: 'server', outcome: 'problem', detail: expect.stringMatching(/^no Temporal server answers at 127\.0\.0\.1:1 \(.+\)$/) as string,
    todo: 'start one with `runbook dev`, or name yours with --address, TEMPORAL_ADDRESS or a profile',
  }]);
});
