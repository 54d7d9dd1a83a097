import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { copyInto, CopyFailure, lackOf, makeUpFor } from '../../activities/evidence/copies.ts';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { createEvidenceWriter } from '../../activities/evidence/evidence-writer.ts';
import { sendLateCopies } from '../../activities/evidence/late-copies.ts';
import { nameByHead, namesOf, type EvidenceStore } from '../../activities/evidence/store.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { memoryStore, type Bucket } from '../support/memory-store.ts';
import { sampleEvidence } from './report-fixture.ts';

let directory: string;
let store: EvidenceStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'drb-evidence-'));
  store = directoryStore(directory);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));
const NAMES = namesOf(sampleEvidence());

it('of a run and its guardian, who write at the same time, one is first: its evidence stays, and the report is of the same', async () => {
  for (let round = 0; round < 10; round += 1) {
    const seen = await Promise.all((['succeeded', 'terminated'] as const).map(async (outcome) => {
      const { evidence, report } = await createEvidenceWriter({ store: directoryStore(directory) }).write({ ...sampleEvidence(), runId: `run-${round}`, outcome });
      return { outcome: (JSON.parse(await readFile(evidence, 'utf8')) as { outcome: string }).outcome, report: await readFile(report, 'utf8') };
    }));
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]?.report).toContain(`on orders: ${seen[0]?.outcome}`);
  }
});

it('attempts that write at the same time all end with the same whole files, of which one has the head as its name', async () => {
  const writer = createEvidenceWriter({ store });
  const [first, ...others] = await Promise.all([writer.write(sampleEvidence()), writer.write(sampleEvidence()), writer.write(sampleEvidence())]);
  for (const other of others) expect(other).toEqual(first);
  const text = await readFile(first.evidence, 'utf8');
  const kept = JSON.parse(text) as Evidence;
  expect({ ...kept, chain: { ...kept.chain, seal: null } }).toEqual(sampleEvidence());
  expect(kept.chain.seal?.head).toBe(first.head);
  expect(readdirSync(directory).sort()).toEqual([NAMES.report, NAMES.evidence, 'by-head'].sort());
  expect(readdirSync(join(directory, 'by-head'))).toEqual([`${first.head}.json`]);
  expect(await store.get(nameByHead(first.head ?? ''))).toBe(text);
});

it('fits an object store: the same pieces under the same names', async () => {
  const bucket: Bucket = new Map();
  const { evidence, head } = await createEvidenceWriter({ store: memoryStore(bucket, 's3://evidence') }).write(sampleEvidence());
  expect(evidence).toBe(`s3://evidence/${NAMES.evidence}`);
  expect([...bucket.keys()].sort()).toEqual([nameByHead(head ?? ''), NAMES.evidence, NAMES.report].sort());
});

it('makes up for what a killed writer had not come to, and finds nothing where nothing is', async () => {
  const writer = createEvidenceWriter({ store });
  expect(await writer.finish('no', 'such')).toBeUndefined();
  const written = await writer.write(sampleEvidence());
  rmSync(written.report);
  rmSync(join(directory, 'by-head'), { recursive: true });
  expect(await writer.finish(sampleEvidence().workflowId, sampleEvidence().runId)).toEqual(written);
  expect(await readFile(written.report, 'utf8')).toContain('on orders');
  expect(readdirSync(join(directory, 'by-head'))).toHaveLength(1);
});

it('half a file is named, and not overwritten', async () => {
  await store.putIfAbsent(NAMES.evidence, '{"half');
  await expect(createEvidenceWriter({ store }).write(sampleEvidence())).rejects.toThrow(/is there and is not the evidence of a run/);
  expect(await store.get(NAMES.evidence)).toBe('{"half');
});

describe('copies', () => {
  const bucket: Bucket = new Map();
  beforeEach(() => bucket.clear());
  const unreachable: EvidenceStore = { ...memoryStore(), location: '/mnt/away', putIfAbsent: () => Promise.reject(new Error('not mounted')) };
  const texts = async (of: EvidenceStore) => Object.fromEntries(await Promise.all([...await of.list(), ...await of.list('by-head')].map(async ({ name }) => [name, await of.get(name)] as const)));

  it('hold the same texts under the same names', async () => {
    await createEvidenceWriter({ store, copies: [memoryStore(bucket)] }).write(sampleEvidence());
    expect(await texts(memoryStore(bucket))).toEqual(await texts(store));
    expect(bucket.size).toBe(3);
  });

  it('that fail keep neither the evidence nor other copies from being written; what was kept is told, and trying again makes up for them', async () => {
    const failing = createEvidenceWriter({ store, copies: [unreachable, memoryStore(bucket)] });
    const failure = await failing.write(sampleEvidence()).catch((error: unknown) => error) as CopyFailure;
    expect(failure).toBeInstanceOf(CopyFailure);
    expect(failure.message).toMatch(/could not be copied: \/mnt\/away: not mounted$/);
    expect(failure.files).toEqual({ evidence: store.locate(NAMES.evidence), report: store.locate(NAMES.report), head: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    expect(await texts(memoryStore(bucket))).toEqual(await texts(store));
    const second: Bucket = new Map();
    expect(await createEvidenceWriter({ store, copies: [memoryStore(second), memoryStore(bucket)] }).write(sampleEvidence())).toEqual(failure.files);
    expect(await texts(memoryStore(second))).toEqual(await texts(store));
  });

  it('that were away are made up for, and nothing is overwritten', async () => {
    await createEvidenceWriter({ store }).write(sampleEvidence());
    await memoryStore(bucket).putIfAbsent(NAMES.report, 'other');
    expect((await makeUpFor(memoryStore(bucket), store)).length).toBe(2);
    expect(await texts(memoryStore(bucket))).toEqual({ ...await texts(store), [NAMES.report]: 'other' });
    expect(await makeUpFor(memoryStore(bucket), store)).toEqual([]);
  });

  it('that are away keep a worker from nothing: each is told for itself', async () => {
    await createEvidenceWriter({ store }).write(sampleEvidence());
    await mkdir(join(directory, 'share'));
    const evidence = { directory, copies: ['share', 'away'].map((name) => ({ directory: join(directory, name) })) };
    expect(await sendLateCopies({ evidence })).toEqual([`copied 3 file(s) of evidence that were missing in ${join(directory, 'share')}`, expect.stringMatching(/^warning: what is missing in .*away could not be copied: the directory is not there/)]);
    expect(readdirSync(join(directory, 'share'))).toHaveLength(3);
    expect(await sendLateCopies({ evidence })).toHaveLength(1);
  });

  it('that hang are not waited for', async () => {
    const hanging: EvidenceStore = { ...memoryStore(), location: '/mnt/slow', putIfAbsent: () => new Promise(() => undefined) };
    expect(await copyInto([hanging, memoryStore(bucket)], { texts: new Map([['a.json', '{}']]), proof: undefined }, 100)).toEqual(['/mnt/slow: it did not answer within 0.1 s']);
    expect([...bucket.keys()]).toEqual(['a.json']);
  });

  it('that hang hold one call, however often they are tried again, and are used again when it has come back', async () => {
    const waiting: (() => void)[] = [];
    const hang = () => new Promise<never>((_, reject) => { waiting.push(() => reject(new Error('stale'))); });
    const hanging: EvidenceStore = { ...memoryStore(bucket), location: '/mnt/dead', putIfAbsent: hang, get: hang, list: hang };
    const attempts = [
      () => copyInto([hanging], { texts: new Map([['a.json', '{}']]), proof: undefined }, 50).then(([failure]) => failure),
      () => makeUpFor(hanging, store, 50).then(() => 'done', (error: Error) => error.message),
      () => lackOf(hanging, store, 50).then(() => 'done', (error: Error) => error.message),
    ];
    // Those of other runs, which came before it was known to hang.
    const first = await Promise.all([...attempts, ...attempts].map((attempt) => attempt()));
    expect(first.map((one) => one?.replace('/mnt/dead: ', ''))).toEqual(Array.from({ length: 6 }, () => 'it did not answer within 0.05 s'));
    for (const attempt of attempts) expect(await attempt()).toMatch(/the last attempt has not come back yet$/);
    expect(waiting).toHaveLength(1);
    // Of others that is not thought.
    expect(await makeUpFor(memoryStore(bucket), store, 500)).toEqual([]);
    waiting[0]?.();
    await vi.waitFor(() => copyInto([{ ...memoryStore(bucket), location: '/mnt/dead' }], { texts: new Map([['a.json', '{}']]), proof: undefined }).then((failures) => expect(failures).toEqual([])));
    expect(waiting).toHaveLength(1);
  });

  it('on a share that hangs leave the process its threads', async () => {
    const share = join(directory, 'share');
    const pipe = join(share, 'by-head', 'x.json');
    await mkdir(join(share, 'by-head'), { recursive: true });
    // As a call on a mount whose server is gone: opening it does not come back. Node has four threads for that.
    execFileSync('mkfifo', [pipe]);
    const copy = directoryStore(share, { mustExist: true });
    const attempt = () => copyInto([copy], { texts: new Map([['by-head/x.json', 'text']]), proof: 'by-head/x.json' }, 100);
    await Promise.all([attempt(), attempt(), attempt()]);
    for (let again = 0; again < 3; again += 1) await attempt();
    const answer = await Promise.race([stat('/').then(() => 'answers'), sleep(2_000).then(() => 'hangs')]);
    // Lets go of whoever reads it.
    const ends = Array.from({ length: 6 }, () => openSync(pipe, constants.O_RDWR));
    await sleep(100);
    ends.forEach(closeSync);
    expect(answer).toBe('answers');
  });

  it('shared by two hosts hold the evidence of both, each by its head, and overwrite nothing', async () => {
    const here = await createEvidenceWriter({ store, copies: [memoryStore(bucket)] }).write(sampleEvidence());
    const before = bucket.get(NAMES.evidence);
    const there = await createEvidenceWriter({ store: memoryStore(), copies: [memoryStore(bucket)] }).write(sampleEvidence({ outcome: 'terminated' }));
    expect(bucket.get(NAMES.evidence)).toBe(before);
    for (const { head } of [here, there]) expect(bucket.has(nameByHead(head ?? ''))).toBe(true);
  });

  it('that hold something else under the head say so, and keep it', async () => {
    const { head } = await createEvidenceWriter({ store }).write(sampleEvidence());
    await memoryStore(bucket).putIfAbsent(nameByHead(head ?? ''), '{"half');
    await expect(createEvidenceWriter({ store, copies: [memoryStore(bucket)] }).write(sampleEvidence())).rejects.toThrow(/is something else there, and is not overwritten/);
    expect(bucket.get(nameByHead(head ?? ''))?.text).toBe('{"half');
  });
});
