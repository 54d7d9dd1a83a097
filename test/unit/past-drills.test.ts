import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { pastDrills } from '../../activities/evidence/past-drills.ts';
import { sampleEvidence } from './report-fixture.ts';

it('predicts from the evidence that can be read, and passes over what cannot', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'past-drills-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const evidence = sampleEvidence({ plan: { predicted: { bytes: 7, seconds: 1 } } });
  const whole = JSON.stringify(evidence);
  await writeFile(join(directory, 'dr-test_a.json'), whole);
  await writeFile(join(directory, 'dr-test_cut.json'), whole.slice(0, 200));
  await writeFile(join(directory, 'dr-test_old-plan.json'), JSON.stringify({ ...evidence, plan: null }));
  expect(await pastDrills(directoryStore(directory), evidence.target ?? '')).toEqual([{ bytes: 7, seconds: 380 }]);
});
