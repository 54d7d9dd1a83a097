import { afterAll, beforeAll, expect, it } from 'vitest';
import type { UnderWay } from '../../contracts/under-way.ts';
import { currentDetailsOf } from '../support/current-details.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** How far an activity is, where the web UI shows its run. */
let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment();
  await environment.startWorker();
});
afterAll(() => environment.stop());

const details = async ({ handle }: ToyRun): Promise<string> => (await currentDetailsOf(handle)).replaceAll('\\', '');
const told = (over: Partial<UnderWay> = {}): UnderWay => ({ activity: '5', phase: 'copying', bytesDone: 250_000_000, bytesTotal: 1_000_000_000, rate: 50_000_000, at: '2026-11-30T09:00:00.000Z', ...over });

it('is shown as it was told last, until its step is over; what is no such message is not, and changes nothing', async () => {
  const run = await startToy(environment, { stallMs: 6_000 });
  await until(async () => (await run.journal()).includes('begin one'), 'step one has begun');
  await run.handle.signal('underWay', told());
  expect(await details(run)).toContain('- … copying, 250 MB of 1.00 GB (25 %), 50.0 MB/s, 15.0 s left, at 2026-11-30T09:00:00.000Z');
  await run.handle.signal('underWay', told({ bytesDone: 500_000_000, phase: '[copying](http://x) **all**' }));
  for (const odd of [undefined, told({ phase: 'x'.repeat(201) }), told({ bytesDone: -1 }), { ...told(), at: 'noon' }]) await run.handle.signal('underWay', odd);
  for (let activity = 100; activity < 130; activity += 1) await run.handle.signal('underWay', told({ activity: String(activity), phase: `part ${activity}` }));
  const shown = await details(run);
  expect(shown.split('\n').filter((line) => line.startsWith('- … '))).toHaveLength(10);
  expect(shown).toContain('part 129,');
  await until(async () => (await run.journal()).includes('begin two'), 'step two has begun');
  expect(await details(run)).not.toContain('- … ');
  await run.handle.result();
  expect((await run.evidence()).outcome).toBe('succeeded');
});
