import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promiseHooks } from 'node:v8';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundleOption, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundleOptions } from '../../workers/workflow-bundle.ts';
import { historyFromJson } from './history-json.ts';

/** What is recorded anew when code changes on purpose, and what older code did in cases that nobody can record any more. */
const DIRECTORIES = ['histories', 'former'].map((name) => fileURLToPath(new URL(`./${name}`, import.meta.url)));
const files = new Map(DIRECTORIES.flatMap((directory) => readdirSync(directory).filter((name) => name.endsWith('.json')).sort().map((name) => [name, join(directory, name)] as const)));
const names = [...files.keys()];
const read = (name: string): string => readFileSync(files.get(name) ?? name, 'utf8');

let fromSources: WorkflowBundleWithSourceMap;
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  fromSources = await bundleWorkflowCode({ ...bundleOptions(), logger: new DefaultLogger('ERROR') });
});
/** What workers load, where it was built. */
const BUILT = fileURLToPath(new URL('../../dist/workflow-bundle.js', import.meta.url));
const bundles: (readonly [string, () => WorkflowBundleOption])[] = [['the sources', () => fromSources], ...(existsSync(BUILT) ? [['what was built of them', () => ({ codePath: BUILT })] as const] : [])];

interface Kept { workflowId: string; events: unknown[] }

/** Replays what a run did against the workflow code as it is now. */
async function replay(history: Kept, workflowBundle: WorkflowBundleOption = fromSources): Promise<void> {
  await Worker.runReplayHistory({ workflowBundle }, historyFromJson(history), history.workflowId);
}

describe('the workflow code as it is now', () => {
  describe.each(bundles)('%s', (_, bundle) => {
    it.each(names)('still do what they did in %s', async (name) => {
      await expect(replay(JSON.parse(read(name)) as Kept, bundle())).resolves.toBeUndefined();
    });
  });

  it('is told apart from code that does something else: a history in which another activity ran is refused', async () => {
    const altered = read('dr-test-sound.json').replaceAll('"copyBackup"', '"copyEverything"');
    await expect(replay(JSON.parse(altered) as Kept)).rejects.toThrow(/TMPRL1100|[Nn]ondeterminism/);
  });
});

/** The same, and that somebody sent so many signals before any worker was up. */
function flooded({ events, ...kept }: Kept, count: number): Kept {
  // What one event says of another is at places of its own in each kind of event: in all of them by its id.
  const later = JSON.stringify(events.slice(1)).replace(/"(\w*[eE]ventId)":"(\d+)"/g, (_, name: string, id: string) => `"${name}":"${id === '0' || id === '1' ? id : Number(id) + count}"`);
  const { eventTime } = events[0] as { eventTime: string };
  const signals = Array.from({ length: count }, (_, index) => ({ eventId: String(index + 2), eventTime, eventType: 'EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED', workflowExecutionSignaledEventAttributes: { signalName: 'approve', input: {}, identity: 'mallory' } }));
  return { ...kept, events: [events[0], ...signals, ...(JSON.parse(later) as unknown[])] };
}

/** How many promises workflow code makes while this is replayed. */
async function promisesOf(history: Kept): Promise<number> {
  let made = 0;
  const stop = promiseHooks.onInit((promise) => { made += promise instanceof Promise ? 0 : 1; });
  await replay(history).finally(stop as () => void);
  return made;
}

it('a signal makes no promise: each would have its stack looked up, and thousands of them would end a worker', async () => {
  const sound = JSON.parse(read('dr-test-sound.json')) as Kept;
  const few = await promisesOf(flooded(sound, 100));
  expect(few).toBeGreaterThan(100);
  expect(await promisesOf(flooded(sound, 600)) - few).toBeLessThan(50);
});

describe('the committed histories', () => {
  it('hold every kind of run and of end', () => {
    expect(names).toEqual(expect.arrayContaining([
      'backup.json', 'manifest.json', 'dr-test-sound.json', 'dr-test-unsound.json', 'dr-test-damaged.json', 'dr-test-cancelled.json',
      'dr-test-rejected.json', 'dr-test-aborted-at-gate.json', 'dr-test-decided-together.json', 'dr-test-steered-early.json', 'guardian-sound.json', 'guardian-cancelled.json', 'guardian-terminated.json', 'lock.json', 'guardian-asked-late.json', 'guardian-asked-beside.json', 'lock-told-nothing.json', 'decided-one-by-one.json', 'steered-early-by-name.json',
      'database-snapshot-sound.json', 'database-snapshot-aborted.json',
    ]));
  });

  it.each(names)('%s is small and names no machine', (name) => {
    const text = read(name);
    expect(text.length).toBeLessThan(150 * 1024);
    const identities = [...text.matchAll(/"identity":"([^"]*)"/g)].map((match) => match[1]);
    expect(identities.filter((identity) => !/^((worker|operator)@demo|history-service)?$/.test(identity ?? ''))).toEqual([]);
  });
});
