import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { createEvidenceWriter } from '../../activities/evidence/evidence-writer.ts';
import { nameByHead, namesOf } from '../../activities/evidence/store.ts';
import { evidenceWriterId, guardianId } from '../../contracts/guardian.ts';
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
  const server = (runs: object[], { described = {}, retentionSeconds = 72 * 3_600 as number | null } = {}) => {
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
            const found = (described as Record<string, unknown>)[runId ?? workflowId];
            return found !== undefined || runId === undefined ? (found === undefined ? Promise.reject(new WorkflowNotFoundError('gone', workflowId, runId)) : Promise.resolve(found)) : Promise.resolve({ raw: {} });
          },
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

  it('are none where evidence lies here or in a copy, the run did nothing, ended just now, went on elsewhere, is forgotten, or has its guardian at work', async () => {
    const workflowId = sampleEvidence().workflowId;
    await write('evidence', 'here');
    await write('copy', 'copied');
    const connected = server([
      run('here', { workflowId }), run('copied', { workflowId }), run('refused', { historyLength: 5, status: { name: 'FAILED' } }), run('just now', { closeTime: new Date() }), run('was reset'), run('guarded'), run('being written'),
    ], { described: { 'was reset': { raw: { workflowExtendedInfo: { resetRunId: 'next' } } }, [guardianId({ workflowId: 'dr-test/orders/x', firstExecutionRunId: 'guarded' })]: { status: { name: 'RUNNING' } }, [evidenceWriterId({ workflowId: 'dr-test/orders/x', runId: 'being written' })]: { status: { name: 'RUNNING' } } } });
    expect(await examineUnkept(connected, configured('copy', 'not mounted'))).toMatchObject([{ outcome: 'ok', detail: expect.stringContaining('none among the 7 newest') as string }]);
    expect(connected.asked).not.toContain('here');
  });

  it('are told with what names the file: a result, or what wrote it in the place of a run that has none', async () => {
    const [byGuardian, byWriter] = [guardianId({ workflowId: 'dr-test/orders/x', firstExecutionRunId: 'guarded' }), evidenceWriterId({ workflowId: 'dr-test/orders/x', runId: 'unguarded' })];
    const over = { status: { name: 'COMPLETED' } };
    const todos = async (...runs: object[]) => (await examineUnkept(server(runs, { described: { [byGuardian]: over, [byWriter]: over } }), configured())).map(({ todo }) => todo);
    expect(await todos(run('failed', { status: { name: 'FAILED' } }))).toEqual([expect.stringContaining('`temporal workflow result --workflow-id dr-test/orders/x --run-id failed` names the file') as string]);
    for (const [runId, writer] of [['guarded', byGuardian], ['unguarded', byWriter]] as const) {
      expect(await todos(run(runId))).toEqual([expect.stringMatching(new RegExp(`\`temporal workflow show --workflow-id ${writer} --output json\` names the file, in the result of the activity writeEvidenceOfDeadRun; where there is none, keep the history: .*--run-id ${runId} `)) as string]);
    }
  });

  it('that were ended by force are told to get evidence from a worker as long as one looks for them', async () => {
    const before = (hours: number) => run('alone', { closeTime: new Date(Date.now() - hours * HOUR_MS) });
    expect(await examineUnkept(server([before(19)]), configured())).toMatchObject([{ todo: expect.stringMatching(/^start a worker within 20 h of its end, where none is up: it writes the evidence; where there is none, keep/) as string }]);
    expect(await examineUnkept(server([before(21)]), configured())).toMatchObject([{ todo: expect.stringMatching(/^copy it here from the host that wrote it; where there is none, keep/) as string }]);
  });

  it('are looked for among the thousand newest, asked about a hundred times, and told ten at a time', async () => {
    let taken = 0;
    const runs = { *[Symbol.iterator]() { for (; taken < 5_000; taken += 1) yield run(`run-${taken}`, { workflowId: `w-${taken}` }); } } as unknown as object[];
    const connected = server(runs);
    const findings = await examineUnkept(connected, configured());
    expect(taken).toBeLessThanOrEqual(1_000);
    expect(connected.asked).toHaveLength(300);
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
