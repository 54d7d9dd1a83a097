import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundleOptions } from '../../workers/workflow-bundle.ts';
import { historyFromJson } from './history-json.ts';

const directory = fileURLToPath(new URL('./histories', import.meta.url));
const names = readdirSync(directory).filter((name) => name.endsWith('.json')).sort();
const read = (name: string): string => readFileSync(join(directory, name), 'utf8');

let bundle: WorkflowBundleWithSourceMap;
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  bundle = await bundleWorkflowCode({ ...bundleOptions(), logger: new DefaultLogger('ERROR') });
});

interface Kept { workflowId: string; events: unknown[] }

/** Replays what a run did against the workflow code as it is now. */
async function replay(history: Kept): Promise<void> {
  await Worker.runReplayHistory({ workflowBundle: bundle }, historyFromJson(history), history.workflowId);
}

describe('the workflow code as it is now', () => {
  it.each(names)('still does what it did in %s', async (name) => {
    await expect(replay(JSON.parse(read(name)) as Kept)).resolves.toBeUndefined();
  });

  it('is told apart from code that does something else: a history in which another activity ran is refused', async () => {
    const altered = read('dr-test-sound.json').replaceAll('"copyBackup"', '"copyEverything"');
    await expect(replay(JSON.parse(altered) as Kept)).rejects.toThrow(/TMPRL1100|[Nn]ondeterminism/);
  });
});

describe('the committed histories', () => {
  it('hold every kind of run and of end', () => {
    expect(names).toEqual(expect.arrayContaining([
      'backup.json', 'manifest.json', 'dr-test-sound.json', 'dr-test-unsound.json', 'dr-test-damaged.json', 'dr-test-cancelled.json',
      'dr-test-rejected.json', 'dr-test-aborted-at-gate.json', 'guardian-sound.json', 'guardian-cancelled.json', 'guardian-terminated.json', 'lock.json',
    ]));
  });

  it.each(names)('%s is small and names no machine', (name) => {
    const text = read(name);
    expect(text.length).toBeLessThan(150 * 1024);
    const identities = [...text.matchAll(/"identity":"([^"]*)"/g)].map((match) => match[1]);
    expect(identities.filter((identity) => !/^((worker|operator)@demo|history-service)?$/.test(identity ?? ''))).toEqual([]);
  });
});
