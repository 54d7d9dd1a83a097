import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { APPROVAL_NAMESPACE, approvalStatement } from '../../contracts/approval.ts';
import { ENOUGH_APPROVALS } from '../../contracts/deciding.ts';
import type { RunRecord } from '../../contracts/record.ts';
import type { Progress } from '../../contracts/messages.ts';
import { approve } from '../../scripts/cli/decide.ts';
import { captureOutput } from '../support/captured-output.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** Forged approvals, each refused with its sentence; what is right counts. Those that only a verified token shows are in principal.test.ts. */
let environment: KernelEnvironment;
let keys: string;
/** How often a worker was asked to check a signature. */
let checked = 0;

const keyOf = (name: string) => path.join(keys, name);
const makeKey = (name: string) => execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', keyOf(name)]);
const publicKeyOf = async (name: string) => (await readFile(`${keyOf(name)}.pub`, 'utf8')).split(' ').slice(0, 2).join(' ');

beforeAll(async () => {
  keys = await mkdtemp(path.join(tmpdir(), 'approval-keys-'));
  for (const name of ['anna', 'ben', 'mallory', 'elsewhere', 'shared']) makeKey(name);
  const signers = keyOf('allowed_signers');
  writeFileSync(signers, [
    `anna@example.org ${await publicKeyOf('anna')}`,
    `ben@example.org namespaces="${APPROVAL_NAMESPACE}" ${await publicKeyOf('ben')}`,
    `anna@example.org,ben@example.org ${await publicKeyOf('shared')}`,
    `carl@example.org namespaces="git" ${await publicKeyOf('elsewhere')}`,
  ].join('\n').concat('\n'));
  const approvers = { approvers: ['@dba'], quorum: 2, expiresAfter: '15m' };
  environment = await startKernelEnvironment({ start: { ...approvers, assurance: 'claimed' } }, {}, { signed: { start: { ...approvers, assurance: 'signature' } }, verified: { start: { ...approvers, assurance: 'principal' } }, brief: { start: { ...approvers, expiresAfter: '2s' } }, corrected: { correction: {} } }, {
    each: { failedSteps: { wait: '60s' } },
    people: { anna: { aliases: ['anna@example.org', 'Anna Ott'] }, ben: { aliases: ['ben@example.org'] }, carl: { aliases: ['carl@example.org'] } },
    groups: { dba: ['anna', 'ben', 'carl'] },
    approvals: { allowedSigners: signers },
  });
  const real = environment.kernelActivities(path.join(environment.root, 'evidence'));
  await environment.startWorker({ verifySignature: (input) => { checked += 1; return real.verifySignature(input); } });
});
afterAll(async () => {
  await environment.stop();
  await rm(keys, { recursive: true, force: true });
});

const recordOf = ({ handle }: ToyRun) => handle.query<RunRecord>('record');
const gateOf = async (run: ToyRun) => (await run.handle.query<Progress>('progress')).openGate!;
const open = async (input: Record<string, unknown> = {}) => {
  const run = await startToy(environment, { database: 'shop', requester: 'rita', ...input });
  await gateOpens(run);
  return run;
};
const decide = (run: ToyRun, over: Record<string, unknown>) => run.handle.executeUpdate<{ outcome: string }, [object]>('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna', ...over }] });
const refused = (sentence: string | RegExp) => ({ cause: { message: (typeof sentence === 'string' ? expect.stringContaining(sentence) : expect.stringMatching(sentence)) as string } });
/** What the run says of the newest decision that it took down. */
const newest = async (run: ToyRun, count: number) => {
  await until(async () => ((await recordOf(run)).gates[0]?.decisions.length ?? 0) >= count, `${count} decisions are identified`);
  return (await recordOf(run)).gates[0]!.decisions.at(-1)!;
};

describe('a claimed name', () => {
  it.each([
    ['not named', { by: 'mallory' }, 'mallory may not decide at gate "start"; one of anna, ben, carl must'],
    ['the requester', { by: 'rita' }, 'rita may not decide'],
    ['a stale plan', { planHash: '0123456789abcdef' }, 'the plan that was seen (0123456789ab) is not the plan of gate "start"'],
    ['another gate', { gate: 'finish' }, 'gate "finish" is not open; the open gate is "start"'],
  ])('is refused: %s', async (_title, over, sentence) => {
    const run = await open();
    await expect(decide(run, over)).rejects.toMatchObject(refused(sentence));
    await run.handle.terminate();
  });

  it('is refused: the requester among the approvers, under another of their names, and whoever started the run', async () => {
    const run = await open({ requester: 'Anna Ott' });
    await expect(decide(run, { by: 'anna@example.org' })).rejects.toMatchObject(refused('requested or started this run and may not approve it'));
    await run.handle.terminate();
    const bens = await startToy(environment, { database: 'shop', requester: 'rita' }, new Client({ connection: environment.client.connection, identity: 'temporal-cli:ben@db1' }));
    await gateOpens(bens);
    await expect(decide(bens, { by: 'ben' })).rejects.toMatchObject(refused('ben requested or started this run'));
    await bens.handle.terminate();
  });

  it('is refused: the same person under two spellings, and a double click', async () => {
    const run = await open();
    expect(await decide(run, {})).toMatchObject({ outcome: 'open' });
    for (const by of ['anna', ' ANNA ', 'Anna  Ott', 'ａｎｎａ', 'anna@example.org']) await expect(decide(run, { by }), by).rejects.toMatchObject(refused('has already decided at gate "start"; each person counts once'));
    await run.handle.signal('approve', { gate: 'start', by: 'anna' });
    await run.handle.signal('approve', { gate: 'start', by: 'anna' });
    expect(await newest(run, 3)).toMatchObject({ counted: false, reason: expect.stringContaining('has already decided') as string });
    expect(await gateOf(run)).not.toBeNull();
    await run.handle.terminate();
  });

  it('is refused: a gate that has expired', async () => {
    const run = await open({ database: 'brief' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
    await expect(decide(run, {})).rejects.toThrow(/completed|not found|already/i);
  });

  it('is refused where more is asked for: a client that calls itself anna, and a payload that does', async () => {
    const run = await open({ database: 'verified' });
    const asAnna = new Client({ connection: environment.client.connection, identity: 'temporal-cli:anna@db1' });
    await asAnna.workflow.getHandle(run.handle.workflowId).signal('approve', { gate: 'start', by: 'anna' });
    expect(await newest(run, 1)).toMatchObject({ assurance: 'claimed', counted: false, reason: expect.stringContaining('asks for assurance "principal" and this decision has "claimed"') as string });
    await expect(decide(run, {})).rejects.toMatchObject(refused('asks for assurance "principal" and this decision has "claimed"'));
    await run.handle.terminate();
  });
});

it('of a corrected input is refused to whoever brought it and to whoever asked for the run, who may have brought it under another name', async () => {
  const run = await startToy(environment, { database: 'corrected', requester: 'anna', failAt: 'one' });
  await until(async () => (await run.handle.query<Progress>('progress')).waitingStep?.name === 'write one', 'the step waits');
  await run.handle.executeUpdate('retryStep', { args: [{ step: 'write one', by: 'zoe', reason: 'typo', input: { fail: false } }] });
  await gateOpens(run);
  for (const by of ['anna', 'Anna Ott', 'zoe']) await expect(decide(run, { gate: 'correction', by }), by).rejects.toMatchObject(refused(`${by} requested or started this run and may not approve it`));
  expect(await decide(run, { gate: 'correction', by: 'ben' })).toMatchObject({ outcome: ENOUGH_APPROVALS });
  await run.handle.result();
});

describe('a signature', () => {
  const statementOf = async (of: ToyRun, over: Record<string, unknown> = {}): Promise<string> => {
    const { runbook, target, owner } = await recordOf(of);
    const { name, planShownAt, planHash } = await gateOf(of);
    return approvalStatement({ runbook, target, owner, runId: of.handle.firstExecutionRunId, gate: name, planShownAt: planShownAt!, planHash, decision: 'approve', comment: null, ...over });
  };
  const sign = (who: string, statement: string, namespace = APPROVAL_NAMESPACE) => execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-f', keyOf(who), '-n', namespace], { input: statement, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
  let run: ToyRun;
  let other: ToyRun;
  beforeAll(async () => {
    [run, other] = [await open({ database: 'signed' }), await open({ database: 'signed', root: keys })];
  });
  afterAll(() => Promise.all([run, other].map(({ handle }) => handle.terminate().catch(() => undefined))));

  it('is asked for', async () => {
    await expect(decide(run, {})).rejects.toMatchObject(refused('asks for assurance "signature" and this decision has "claimed"; sign it: `runbook approve WORKFLOW_ID --sign KEY`'));
  });

  const forged: readonly (readonly [string, () => Promise<string>, string | RegExp])[] = [
    ['of a key that is not listed', async () => sign('mallory', await statementOf(run)), 'its signature is by no key that the allowed-signers file lists'],
    ['of another run', async () => sign('anna', await statementOf(other)), 'not over this decision at this gate of this run'],
    ['for a rejection', async () => sign('anna', await statementOf(run, { decision: 'reject' })), 'not over this decision'],
    ['over another plan', async () => sign('anna', await statementOf(run, { planHash: 'f'.repeat(64) })), 'not over this decision'],
    ['for another gate', async () => sign('anna', await statementOf(run, { gate: 'finish' })), 'not over this decision'],
    ['of another life of this run', async () => sign('anna', await statementOf(run, { runId: 'another' })), 'not over this decision'],
    ['that names no life of the run', async () => sign('anna', (await statementOf(run)).replace(/"runId":"[^"]*",/, '')), 'not over this decision'],
    ['with another comment', async () => sign('anna', await statementOf(run, { comment: 'I have read it' })), 'not over this decision'],
    ['for another opening of the gate', async () => sign('anna', await statementOf(run, { planShownAt: '2026-01-01T00:00:00.000Z' })), 'not over this decision'],
    ['made for git', async () => sign('anna', await statementOf(run), 'git'), 'not for the namespace'],
    ['of a key that is listed for something else', async () => sign('elsewhere', await statementOf(run)), /by no key that the allowed-signers file lists|not for the namespace/],
    ['that is none', async () => 'not a signature', 'its signature is by no key'],
    ['that was altered', async () => sign('anna', await statementOf(run)).replace(/[a-z](?=[A-Za-z0-9+/]{20}\n)/, 'Q'), 'its signature is'],
  ];
  it.each(forged)('is refused: one %s', async (_title, make, sentence) => {
    await expect(decide(run, { signature: await make() })).rejects.toMatchObject(refused(sentence));
  });

  it('counts once, as whoever holds the key, whatever name came with it, by update and by signal, and cannot be replayed', async () => {
    const [signature, bens] = [sign('anna', await statementOf(run)), sign('ben', await statementOf(run))];
    expect(await decide(run, { by: 'carl', signature })).toMatchObject({ outcome: 'open', by: 'anna@example.org' });
    await expect(decide(run, { by: 'carl', signature })).rejects.toMatchObject(refused('anna@example.org has already decided'));
    await expect(decide(other, { signature })).rejects.toMatchObject(refused('not over this decision at this gate of this run'));
    const before = (await recordOf(run)).gates[0]!.decisions.length;
    await run.handle.signal('approve', { gate: 'start', signature });
    expect(await newest(run, before + 1)).toMatchObject({ by: 'anna@example.org', assurance: 'signature', counted: false });
    await run.handle.signal('approve', { gate: 'start', signature: bens });
    await run.handle.result();
    const { gates: [gate] } = await run.evidence();
    expect(gate?.outcome).toBe('approved');
    expect(gate?.decisions.filter(({ counted }) => counted)).toEqual([
      expect.objectContaining({ by: 'anna@example.org', assurance: 'signature', channel: 'update', key: expect.stringMatching(/^SHA256:/) as string }),
      expect.objectContaining({ by: 'ben@example.org', assurance: 'signature', channel: 'signal', key: expect.stringMatching(/^SHA256:/) as string }),
    ]);
  });

  it('is void with its plan for good, also where the gate comes back to that plan', async () => {
    const turning = await open({ database: 'signed', recheck: { ms: 1, finds: 'another and the first by turns' } });
    const hashes: string[] = [];
    const approveAs = async (signatures: readonly string[]) => { for (const signature of signatures) await decide(turning, { by: undefined, signature }); };
    const signBoth = async () => Promise.all(['anna', 'ben'].map(async (who) => sign(who, await statementOf(turning))));
    const turns = async () => {
      hashes.push((await gateOf(turning)).planHash);
      const both = await signBoth();
      await approveAs(both);
      await until(async () => (await gateOf(turning)).planHash !== hashes.at(-1), 'the gate shows another plan');
      return both;
    };
    const [first] = [await turns(), await turns()];
    expect((await gateOf(turning)).planHash).toBe(hashes[0]);
    for (const signature of first) await expect(decide(turning, { by: undefined, signature })).rejects.toMatchObject(refused('not over this decision at this gate of this run'));
    expect(await decide(turning, { by: undefined, signature: (await signBoth())[0] })).toMatchObject({ by: 'anna@example.org', outcome: 'open' });
    await turning.handle.terminate();
  });

  it('counts once for a key that two names share', async () => {
    const shared = await open({ database: 'signed' });
    const signature = sign('shared', await statementOf(shared));
    expect(await decide(shared, { by: 'anna', signature })).toMatchObject({ outcome: 'open', by: 'anna@example.org' });
    await expect(decide(shared, { by: 'ben', signature })).rejects.toMatchObject(refused(/^the key SHA256:\S+ has already decided at gate "start"; each key counts once, whomever the allowed-signers file names for it$/));
    await shared.handle.terminate();
  });

  it('is worth nothing in the life that a reset gives the run, where its signal is repeated, and a new one counts', async () => {
    const again = await open({ database: 'signed' });
    await again.handle.signal('approve', { gate: 'start', by: 'mallory' });
    await newest(again, 1);
    const finished = (await again.handle.fetchHistory()).events?.findLast((event) => event.workflowTaskCompletedEventAttributes);
    await again.handle.signal('approve', { gate: 'start', signature: sign('anna', await statementOf(again)) });
    expect(await newest(again, 2)).toMatchObject({ by: 'anna@example.org', counted: true });
    const { runId } = await environment.client.workflowService.resetWorkflowExecution({
      namespace: 'default', workflowExecution: { workflowId: again.handle.workflowId, runId: again.handle.firstExecutionRunId }, reason: 'test', requestId: 'reset', workflowTaskFinishEventId: finished?.eventId ?? null,
    });
    expect(await newest(again, 2)).toMatchObject({ counted: false, reason: expect.stringContaining('not over this decision at this gate of this run') as string });
    expect(await decide(again, { signature: sign('anna', await statementOf(again, { runId })) })).toMatchObject({ by: 'anna@example.org', outcome: 'open' });
    await again.handle.terminate();
  });

  it('is not looked at where the decision would not count anyway, and ends no run on a worker that cannot check it', async () => {
    const before = checked;
    const another = await open({ database: 'signed' });
    const count = async (message: Record<string, unknown>, decisions: number) => {
      await another.handle.signal('approve', { signature: 'x', ...message });
      return (await newest(another, decisions)).reason;
    };
    expect(await count({ gate: 'start', by: 'mallory' }, 1)).toContain('mallory may not decide');
    expect(await count({ gate: 'start', by: 'anna', planHash: '0123456789abcdef' }, 2)).toContain('is not the plan of gate');
    expect(await count({ gate: 'start', planHash: '0123456789abcdef' }, 3)).toContain('is not the plan of gate');
    expect(checked).toBe(before);
    vi.stubEnv('PATH', '/nonexistent');
    try {
      expect(await count({ gate: 'start' }, 4)).toBe('signatures cannot be checked on this worker: ssh-keygen is not installed; install the OpenSSH client');
    } finally {
      vi.unstubAllEnvs();
    }
    expect(await decide(another, { by: undefined, signature: sign('anna', await statementOf(another)) })).toMatchObject({ by: 'anna@example.org' });
    await another.handle.terminate();
  });

  describe('by `runbook approve --sign`', () => {
    let output: ReturnType<typeof captureOutput>;
    beforeAll(() => { output = captureOutput(); });
    afterAll(() => output.end());
    it('is made and sent, with the comment', async () => {
      const flags = { address: environment.server.address, comment: 'as agreed' };
      await expect(approve(other.handle.workflowId, { ...flags, by: 'ben', sign: keyOf('nobody') })).rejects.toThrow('ssh-keygen did not sign with');
      // As messages print it: the login name, which is no approver's, says nothing.
      expect(await approve(other.handle.workflowId, { ...flags, sign: keyOf('anna'), planHash: (await gateOf(other)).planHash })).toBe(0);
      await expect(decide(other, { signature: 'x', planHash: 'f'.repeat(64) })).rejects.toMatchObject(refused('is not the plan of gate "start"'));
      expect(await approve(other.handle.workflowId, { ...flags, by: 'ben', sign: keyOf('ben') })).toBe(0);
      expect(output.said()).toContain('approve by ben@example.org counts at gate "start": enough approvals');
      await other.handle.result();
      expect((await other.evidence()).gates[0]?.decisions.filter(({ counted }) => counted).map(({ by, planSeen }) => [by, planSeen])).toEqual([['anna@example.org', 'given'], ['ben@example.org', 'filledIn']]);
    });
  });
});
