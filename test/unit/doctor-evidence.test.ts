import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { createEvidenceWriter } from '../../activities/evidence/evidence-writer.ts';
import { nameByHead, namesOf } from '../../activities/evidence/store.ts';
import { evidenceWriterId, guardianId } from '../../contracts/guardian.ts';
import { NOTHING_SETTLED } from '../../contracts/record.ts';
import { examineCopies } from '../../scripts/cli/doctor-copies.ts';
import { examineUnkept } from '../../scripts/cli/doctor-unkept.ts';
import { sampleEvidence } from './report-fixture.ts';

let root: string;
beforeEach(async () => { root = await mkdtemp(join(tmpdir(), 'doctor-evidence-')); });
afterEach(() => rm(root, { recursive: true }));
const configured = (...copies: string[]) => ({ evidence: { directory: join(root, 'evidence'), copies: copies.map((name) => ({ directory: join(root, name) })) } });
const write = (name = 'evidence', runId = 'run-1') => createEvidenceWriter({ store: directoryStore(join(root, name)) }).write(sampleEvidence({ runId }));

describe('copies of evidence', () => {
  it('are not spoken of where none are configured', async () => {
    expect(await examineCopies(configured())).toEqual([]);
  });

  it('are well where they have everything, and more', async () => {
    await write();
    await cp(join(root, 'evidence'), join(root, 'copy'), { recursive: true });
    await write('copy', 'run of another host');
    expect(await examineCopies(configured('copy'))).toMatchObject([{ outcome: 'ok', about: 'evidence' }]);
  });

  it('that lack something are told by name, each copy for itself', async () => {
    const { head } = await write();
    await mkdir(join(root, 'empty'));
    await cp(join(root, 'evidence'), join(root, 'copy'), { recursive: true });
    await rm(join(root, 'copy', nameByHead(head ?? '')));
    const names = namesOf(sampleEvidence({ runId: 'run-1' }));
    expect(await examineCopies(configured('copy', 'empty'))).toMatchObject([
      { outcome: 'warning', name: `copy in ${join(root, 'copy')}`, detail: expect.stringMatching(new RegExp(`^1 file\\(s\\) .* missing there: ${nameByHead(head ?? '')}$`)) as string },
      { outcome: 'warning', name: `copy in ${join(root, 'empty')}`, detail: expect.stringContaining(`3 file(s) of ${join(root, 'evidence')} are missing there: ${nameByHead(head ?? '')}, ${names.report}, ${names.evidence}`) as string, todo: expect.stringContaining('cp -rn') as string },
    ]);
  });

  it('that have half of something are told', async () => {
    const { head } = await write();
    await cp(join(root, 'evidence'), join(root, 'copy'), { recursive: true });
    await writeFile(join(root, 'copy', nameByHead(head ?? '')), '{"half');
    expect(await examineCopies(configured('copy'))).toMatchObject([{ outcome: 'warning', detail: expect.stringContaining('1 file(s) there are not those of') as string }]);
  });

  it('that are not there are a problem: runs wait for them', async () => {
    expect(await examineCopies(configured('away'))).toMatchObject([{ outcome: 'problem', detail: expect.stringContaining('the directory is not there; mount it') as string }]);
  });
});

describe('runs whose evidence is not here', () => {
  const HOUR_MS = 3_600_000;
  const run = (runId: string, changes: object = {}) => ({ workflowId: 'dr-test/orders/x', runId, status: { name: 'TERMINATED' }, historyLength: 40, closeTime: new Date(Date.now() - HOUR_MS), ...changes });
  /** A server that knows these runs, and of some of their workflows more. */
  const server = (runs: object[], { described = {}, histories = {} as Record<string, object[]>, retentionSeconds = 72 * 3_600 as number | null } = {}) => {
    const asked: string[] = [];
    const queries: string[] = [];
    const client = {
      workflow: {
        list: ({ query }: { query: string }) => {
          queries.push(query);
          return (async function* () { yield* runs; })();
        },
        getHandle: (workflowId: string, runId?: string) => ({
          describe: () => {
            asked.push(runId ?? workflowId);
            const found = (described as Record<string, object>)[runId ?? workflowId];
            if (found === undefined && /^(guardian|evidence)\//.test(workflowId)) return Promise.reject(new WorkflowNotFoundError('gone', workflowId, runId));
            // The newest that has the workflow id of a run is somebody else's by now.
            return Promise.resolve({ workflowId, runId: runId ?? 'somebody else', raw: {}, startTime: new Date(), status: { name: 'TERMINATED' }, ...found });
          },
          fetchHistory: () => Promise.resolve({ events: histories[runId ?? workflowId] ?? [] }),
        }),
      },
      workflowService: { describeNamespace: () => Promise.resolve({ config: { workflowExecutionRetentionTtl: retentionSeconds === null ? null : { seconds: retentionSeconds } } }) },
    } as unknown as Client;
    return { client, namespace: 'default', asked, queries };
  };

  it('are told with how long the server still knows them, the one first that it forgets first', async () => {
    const connected = server([run('young'), run('old', { closeTime: new Date(Date.now() - 71.5 * HOUR_MS) }), run('over', { closeTime: new Date(Date.now() - 80 * HOUR_MS) })]);
    expect(await examineUnkept(connected, configured())).toMatchObject([
      { outcome: 'warning', detail: expect.stringMatching(/run over, terminated\).*may forget it at any moment/) as string },
      { outcome: 'warning', detail: expect.stringMatching(/run old, .*still knows it for 30 min/) as string },
      { outcome: 'warning', about: 'evidence', detail: expect.stringMatching(/the evidence of dr-test\/orders\/x \(run young, terminated\) is on none of this host's stores; the server still knows it for 2 d 2[23] h/) as string, todo: expect.stringContaining('temporal workflow show --workflow-id dr-test/orders/x --run-id young --output json') as string },
    ]);
    for (const part of ['"dr-test"', '"backup"', '"manifest"', '"Terminated"', 'TaskQueue = "runbooks"']) expect(connected.queries[0]).toContain(part);
  });

  const [orders, other] = ['dr-test/orders/x', 'dr-test/orders/y'];
  const guarding = (runId: string) => guardianId({ workflowId: orders, firstExecutionRunId: runId });
  const writing = (runId: string) => evidenceWriterId({ workflowId: orders, runId });
  const guardian = (name: string, runId: string) => ({ type: 'guardian', taskQueue: 'runbooks', runId, status: { name } });
  const payloads = (value: object) => ({ payloads: [{ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(value)) }] });
  /** What a guardian, or a writer, did for the evidence of a run. */
  const wrote = (runId: string, isWritten = true) => [
    { eventId: 7, activityTaskScheduledEventAttributes: { activityType: { name: 'writeEvidenceOfDeadRun' }, input: payloads({ end: { runId }, settlement: NOTHING_SETTLED }) } },
    ...(isWritten ? [{ eventId: 9, activityTaskCompletedEventAttributes: { scheduledEventId: 7 } }] : []),
  ];
  /** What a run did that had a guardian. */
  const guarded = [{ eventId: 5, startChildWorkflowExecutionInitiatedEventAttributes: { workflowType: { name: 'guardian' } } }];

  it('are none where evidence lies here or in a copy, the run did nothing, ended just now, went on elsewhere, is forgotten, or has its guardian at work', async () => {
    const workflowId = sampleEvidence().workflowId;
    await write('evidence', 'here');
    await write('copy', 'copied');
    const connected = server([
      run('here', { workflowId }), run('copied', { workflowId }), run('refused', { historyLength: 5, status: { name: 'FAILED' } }), run('just now', { closeTime: new Date() }), run('was reset', { workflowId: other }), run('guarded'), run('being written'),
      run('failed', { status: { name: 'FAILED' } }), run('failed and reset', { status: { name: 'FAILED' } }),
    ], { described: {
      [other]: { runId: 'next', raw: { workflowExecutionInfo: { firstRunId: 'was reset' } } }, [guarding('guarded')]: guardian('RUNNING', 'of guarded'), [writing('being written')]: guardian('RUNNING', 'of being written'),
      [guarding('failed')]: guardian('RUNNING', 'of failed'), 'failed and reset': { raw: { workflowExtendedInfo: { resetRunId: 'next' } } },
    } });
    expect(await examineUnkept(connected, configured('copy', 'not mounted'))).toMatchObject([{ outcome: 'ok', detail: expect.stringContaining('none among the 9 newest') as string }]);
    expect(connected.asked).not.toContain('here');
  });

  it('are told with what names the file: a result, or what wrote this run in the place of one that has none', async () => {
    const knows = { described: { [guarding('guarded')]: guardian('COMPLETED', 'g'), [guarding('late')]: guardian('TERMINATED', 'l'), [writing('unguarded')]: guardian('COMPLETED', 'w') }, histories: { g: wrote('guarded'), l: wrote('late'), w: wrote('unguarded') } };
    const todos = async (...runs: object[]) => (await examineUnkept(server(runs, knows), configured())).map(({ todo }) => todo);
    expect(await todos(run('failed', { status: { name: 'FAILED' } }))).toEqual([expect.stringContaining('`temporal workflow result --workflow-id dr-test/orders/x --run-id failed` names the file; where there is none, keep') as string]);
    for (const [runId, by] of [['guarded', guarding('guarded')], ['late', guarding('late')], ['unguarded', writing('unguarded')]] as const) {
      expect(await todos(run(runId))).toEqual([expect.stringMatching(new RegExp(`\`temporal workflow show --workflow-id ${by} --output json\` names the file, in the result of the activity writeEvidenceOfDeadRun; where there is none, keep the history: .*--run-id ${runId} `)) as string]);
    }
  });

  it.each([
    ['nothing had a guardian', 'due', {}, {}],
    ['its guardian wrote of another life', 'due', { [guarding('r')]: guardian('COMPLETED', 'g') }, { g: wrote('another') }],
    ['what was to write was ended by force', 'due', { [writing('r')]: guardian('TERMINATED', 'w') }, { w: wrote('r', false) }],
    ['what was to write wrote of another run', 'due', { [writing('r')]: guardian('COMPLETED', 'w') }, { w: wrote('another') }],
    ['something else has the name of what writes', 'due', { [writing('r')]: { ...guardian('RUNNING', 'w'), type: 'lock' } }, {}],
    ['what has the name of what writes is on another queue', 'due', { [writing('r')]: { ...guardian('COMPLETED', 'w'), taskQueue: 'theirs' } }, { w: wrote('r') }],
    ['its guardian was ended by force', 'nobody writes it: its guardian, which knew what it did, was ended by force; look by hand for what it may have left, and keep the history', { [guarding('r')]: guardian('TERMINATED', 'g') }, { r: guarded }],
    ['its guardian could not write', 'nobody writes it: its guardian ended without it', { [guarding('r')]: guardian('FAILED', 'g') }, { r: guarded, g: wrote('r', false) }],
    ['what was to write could not', `nobody writes it: ${writing('r')} could not`, { [writing('r')]: guardian('FAILED', 'w') }, { w: wrote('r', false) }],
    ['its guardian is forgotten', 'copy it here from the host that wrote it; where there is none, keep', {}, { r: guarded }],
    ['something else has the name of its guardian', 'copy it here from the host that wrote it; where there is none, keep', { [guarding('r')]: { ...guardian('RUNNING', 'g'), type: 'lock' } }, { r: guarded }],
  ] as [string, string, object, Record<string, object[]>][])('that were ended by force are told to get evidence from a worker where one would write it: %s', async (_title, said, described, histories) => {
    const connected = server([run('r')], { described: { ...described }, histories });
    const expected = said === 'due' ? 'start a worker within 2 d 20 h of its end, where none is up: it writes the evidence; where there is none, keep' : said;
    expect(await examineUnkept(connected, configured())).toMatchObject([{ todo: expect.stringMatching(new RegExp(`^${expected}`)) as string }]);
  });

  it('are not told that, when they ended so long ago that no worker looks for them', async () => {
    const before = async (hours: number, retentionSeconds: number | null = 72 * 3_600) => (await examineUnkept(server([run('r', { closeTime: new Date(Date.now() - hours * HOUR_MS) })], { retentionSeconds }), configured()))[0]?.todo;
    const startWorker = (within: string) => expect.stringMatching(new RegExp(`^start a worker within ${within} of its end`)) as string;
    const copyIt = expect.stringMatching(/^copy it here from the host that wrote it; where there is none, keep/) as string;
    expect([await before(67), await before(69)]).toEqual([startWorker('2 d 20 h'), copyIt]);
    for (const aDay of [24 * 3_600, null]) expect([await before(19, aDay), await before(21, aDay)]).toEqual([startWorker('20 h 00 min'), copyIt]);
  });

  it('are looked for among the thousand newest, asked about a hundred times, and told ten at a time', async () => {
    let taken = 0;
    const runs = { *[Symbol.iterator]() { for (; taken < 5_000; taken += 1) yield run(`run-${taken}`, { workflowId: `w-${taken}` }); } } as unknown as object[];
    const connected = server(runs);
    const findings = await examineUnkept(connected, configured());
    expect(taken).toBeLessThanOrEqual(1_000);
    expect(new Set(connected.asked.filter((id) => id.startsWith('run-'))).size).toBe(100);
    expect(findings).toHaveLength(11);
    expect(findings[10]).toMatchObject({ detail: '990 more are without, closed later' });
  });

  it('are not said to be none by a server that lists nothing, and have no end where it does not say how long it keeps them', async () => {
    const { client, ...rest } = server([run('young')], { retentionSeconds: null });
    expect(await examineUnkept({ client, ...rest }, configured())).toMatchObject([{ detail: expect.stringContaining('nobody knows how long') as string }]);
    const silent = { workflow: { list: () => { throw new Error('no visibility store'); } } } as unknown as Client;
    expect(await examineUnkept({ client: silent, ...rest }, configured())).toMatchObject([{ outcome: 'skipped', detail: expect.stringContaining('no visibility store') as string }]);
  });
});
