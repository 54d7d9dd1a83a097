import { afterAll, beforeAll, expect, it } from 'vitest';
import { createEndWatch } from '../../activities/kernel/unguarded-ends.ts';
import { startKernelEnvironment, toyConfiguration, type KernelEnvironment } from '../support/kernel-environment.ts';
import { startToy, until } from '../support/toy-runs.ts';

let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment();
  await environment.stopLooking();
});
afterAll(() => environment.stop());

const HOUR_MS = 3_600_000;
/** As a worker that looks so many hours from now for the first time. */
const watchFrom = (clock: { hours: number }) => createEndWatch({ client: environment.client, configuration: toyConfiguration(environment.root, {}, {}), types: ['toy'], now: () => Date.now() + clock.hours * HOUR_MS });
const look = (hours: number) => watchFrom({ hours })();
const keepForHours = (hours: number) => environment.client.workflowService.updateNamespace({ namespace: 'default', config: { workflowExecutionRetentionTtl: { seconds: hours * 3_600 } } as object });

it('evidence of a run that ended while no worker looked for two days is written, where the server keeps it for three, and learns that it does', async () => {
  const run = await startToy(environment, { database: 'shop' });
  await run.handle.terminate('test');
  await until(async () => (await environment.client.workflow.count(`WorkflowId = '${run.handle.workflowId}' AND ExecutionStatus = 'Terminated'`)).count > 0, 'the server lists it');
  const clock = { hours: 21 };
  const watch = watchFrom(clock);
  await keepForHours(24);
  expect(await watch(), 'it may be forgotten who saw to it').toEqual([]);
  await keepForHours(72);
  clock.hours += 0.9;
  expect(await watch(), 'that was asked less than an hour ago').toEqual([]);
  expect(await look(69)).toEqual([]);
  clock.hours += 0.2;
  expect(await watch()).toEqual([run.handle.workflowId]);
  expect(await look(67), 'somebody is at it').toEqual([]);
  await environment.startWorker();
  await until(async () => (await environment.evidence()).length === 1, 'there is evidence');
  expect(await run.evidence()).toMatchObject({ outcome: 'terminated', chain: { writtenBy: 'guardian' } });
  await environment.client.workflow.getHandle(`evidence/${run.handle.workflowId}/${run.handle.firstExecutionRunId}`).result();
  expect(await look(67), 'it was written').toEqual([]);
});
