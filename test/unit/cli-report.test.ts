import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { createEvidenceWriter } from '../../activities/evidence/evidence-writer.ts';
import { nameByHead } from '../../activities/evidence/store.ts';
import type { EvidenceFiles } from '../../activities/kernel/kernel-activities.ts';
import { report, type ReportOptions } from '../../scripts/cli/report.ts';
import { sampleEvidence } from './report-fixture.ts';

let root: string;
let files: EvidenceFiles;
let earlierHead: string | null;
let config: string;
let printed: string;
let noted: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'report-'));
  const writer = createEvidenceWriter({ store: directoryStore(join(root, 'evidence')) });
  ({ head: earlierHead } = await writer.write(sampleEvidence({ runId: 'before', startedAt: '2026-11-14T03:00:00.000Z', finishedAt: '2026-11-14T03:05:00.000Z' })));
  files = await writer.write(sampleEvidence());
  config = join(root, 'runbooks.yaml');
  await writeFile(config, `version: 1
evidence: { directory: ./nothing, copies: [{ directory: ./evidence }] }
databases: { orders: { connection: {}, provider: { kind: archive, repository: /b, walDirectory: /w } } }
`);
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    noted += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(root, { recursive: true });
});
async function said(fileOrId: string, options: ReportOptions = {}, exitCode = 0): Promise<string> {
  printed = noted = '';
  expect(await report(fileOrId, options)).toBe(exitCode);
  return printed;
}

it('finds the runs before it beside the file, in every form', async () => {
  expect(await said(files.evidence)).toMatch(/Earlier runs\n {2}2026-11-14T03:00:00.000Z {2}.*succeeded.* head [0-9a-f]{16}/);
  expect(await said(files.evidence, { format: 'markdown' })).toContain(`| 2026-11-14T03:00:00.000Z | succeeded | restore sound, RTO met, RPO missed | 4 min 42 s, without waiting for people | 6 min 52 s | \`${earlierHead}\` |`);
  expect(await said(files.report, { format: 'html' })).toContain(`<code>${earlierHead}</code>`);
  expect(JSON.parse(await said(files.evidence, { format: 'json' }))).toMatchObject({ paths: { evidence: files.evidence, report: files.report }, earlierRuns: [{ head: earlierHead }] });
  expect(await said(files.evidence, { json: true })).toBe(await said(files.evidence, { format: 'json' }));
});

it('was written with the runs before it', async () => {
  expect(await readFile(files.report, 'utf8')).toContain(`<code>${earlierHead}</code>`);
});

it('is of the evidence with a head, also out of a copy, with what lies beside that', async () => {
  const byHead = JSON.parse(await said(files.head?.toUpperCase() ?? '', { config, format: 'json' })) as object;
  expect(byHead).toMatchObject({ paths: { evidence: join(root, 'evidence', nameByHead(files.head ?? '')), report: files.report }, evidence: { workflowId: sampleEvidence().workflowId }, earlierRuns: [{ head: earlierHead }] });
  await expect(report('f'.repeat(64), { config })).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining('no evidence with this head') as string });
});

it.each([[{ json: true, format: 'html' }, /ask for different things/], [{ redact: ['/reason'], format: 'markdown' }, /leave out --format/]] as [ReportOptions, RegExp][])('refuses what contradicts itself: %j', async (options, sentence) => {
  await expect(report(files.evidence, options)).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(sentence) as string });
});

const FORMATS = ['text', 'json', 'markdown', 'html'] as const;
const inForm = (format: typeof FORMATS[number]): ReportOptions => (format === 'text' ? {} : { format });

it.each(FORMATS)('says as %s that a file is consistent, and no more', async (format) => {
  expect(await said(files.evidence, inForm(format))).toContain('consistent, not authenticated');
});

it.each(FORMATS)('says as %s, before all else, that a file is not what was written, and ends with 1', async (format) => {
  const forged = join(root, 'forged.json');
  await writeFile(forged, (await readFile(files.evidence, 'utf8')).replace('"rpo":"missed"', '"rpo":"met"'));
  printed = '';
  expect(await report(forged, inForm(format))).toBe(1);
  expect(printed.indexOf('THIS FILE IS NOT AS IT WAS WRITTEN')).toBeGreaterThanOrEqual(0);
  expect(printed.indexOf('THIS FILE IS NOT AS IT WAS WRITTEN')).toBeLessThan(printed.includes('restore') ? printed.indexOf('restore') : printed.length);
  expect(printed).toContain('altered the end');
  expect(printed).not.toContain('consistent, not authenticated');
});

it.each(FORMATS)('is made as %s of what was redacted, of whatever form that is, and says what is not known', async (format) => {
  const redacted = join(root, 'redacted.json');
  const pointers = ['/reason', '/outcome', '/failure', '/verdict', '/plan', '/startedAt', '/steps/1/finishedAt', '/steps/2', '/gates/0/planHash', '/gates/0/events', '/gates/0/policy', '/gates/0/decisions/1/counted', '/operations/0', '/checks/0', '/recovery', '/compensations/0', '/teardown', '/notVerified'];
  await writeFile(redacted, await said(files.evidence, { redact: pointers }, 1));
  const text = await said(redacted, inForm(format));
  for (const pointer of pointers) expect(text).toContain(pointer);
  expect(text.replaceAll('\\', '')).toContain('[redacted]');
  expect(text).not.toMatch(/NaN|undefined|absence proven/);
  expect(await said(redacted, { redact: ['/requester'] }, 1)).toContain('"requester":{"$redacted"');
});

describe('what was redacted', () => {
  const HASH = '0123456789abcdef'.repeat(4);
  const [gate] = sampleEvidence().gates;
  const rejected = () => files.evidence;
  beforeEach(async () => {
    files = await createEvidenceWriter({ store: directoryStore(join(root, 'evidence')) }).write(sampleEvidence({
      runId: 'rejected', outcome: 'rejected', failure: { type: 'REJECTED', message: 'gate "start" was rejected by alice: ask Eve about the merger' },
      steps: [{ ...sampleEvidence().steps[3]!, summary: 'skipped by dora: the disk of Eve is full' }],
      operations: [{ ...sampleEvidence().operations[0]!, operation: 'skipStep', of: 'reindex', reason: 'the disk of Eve is full' }],
      gates: [{ ...gate!, planHash: HASH, events: [], decisions: [{ ...gate!.decisions[2]!, decision: 'reject', comment: 'ask Eve about the merger' }, { ...gate!.decisions[0]!, comment: 'no', reason: `the plan that was seen (abcdefabcdef) is not the plan of gate "start" (${HASH.slice(0, 12)})` }] }],
      chain: { ...sampleEvidence().chain, planHash: HASH },
    }));
  });

  it('and stands elsewhere, too, is named by where, in a file that is printed all the same, and it ends with 1', async () => {
    const text = await said(rejected(), { redact: ['/gates/0/decisions/0/comment', '/operations/0/reason'] }, 1);
    expect(noted.trim().split('\n')).toEqual([
      'runbook: text of /gates/0/decisions/0/comment still stands in /failure/message; redact these too, unless they may be known',
      'runbook: text of /operations/0/reason still stands in /steps/0/summary; redact these too, unless they may be known',
    ]);
    expect(JSON.parse(text)).toMatchObject({ operations: [{ reason: { $redacted: expect.any(String) as string } }] });
  });

  it('everywhere ends with 0, and so does what was redacted before', async () => {
    const text = await said(rejected(), { redact: ['/gates/0/decisions/0/comment', '/operations/0/reason', '/failure/message', '/steps/0/summary'] });
    expect([noted, text.includes('Eve')]).toEqual(['', false]);
    await writeFile(join(root, 'once.json'), text);
    await said(join(root, 'once.json'), { redact: ['/reason', '/gates/0/decisions/1/reason'] });
    expect(noted).toBe('');
  });

  it('is found where it was quoted, and where it quoted', async () => {
    await said(rejected(), { redact: ['/failure/message', '/steps/0/summary'] }, 1);
    expect(noted.trim().split('\n')).toEqual([
      'runbook: text of /failure/message still stands in /gates/0/decisions/0/comment; redact these too, unless they may be known',
      'runbook: text of /steps/0/summary still stands in /operations/0/reason; redact these too, unless they may be known',
    ]);
  });

  it('is found as JSON, as which evidence holds a corrected input', async () => {
    const secret = 'the "disk"\nof Eve';
    files = await createEvidenceWriter({ store: directoryStore(join(root, 'evidence')) }).write(sampleEvidence({
      runId: 'corrected', reason: secret, plan: { note: secret }, operations: [{ ...sampleEvidence().operations[0]!, operation: 'retryStep', detail: JSON.stringify({ note: secret }) }],
    }));
    await said(files.evidence, { redact: ['/plan/note'] }, 1);
    expect(noted).toContain('text of /plan/note still stands in /operations/0/detail, /reason;');
    noted = '';
    await said(files.evidence, { redact: ['/operations/0/detail'] }, 1);
    expect(noted).toContain('text of /operations/0/detail still stands in /reason;');
  });

  it('as the plan leaves the beginning of its hash, where people are told of it', async () => {
    await said(rejected(), { redact: ['/plan'] }, 1);
    expect(noted).toContain('text of /chain/planHash still stands in /gates/0/decisions/1/reason;');
    expect(noted, 'what the run is about').not.toContain('/target');
  });

  it('is not looked for where it is a word of the schema, an instant, or short and in other words', async () => {
    await said(rejected(), { redact: ['/steps/0/outcome', '/startedAt', '/gates/0/openedAt', '/gates/0/decisions/1/comment', '/gates/0/decisions/1/channel'] });
    expect(noted).toBe('');
  });
});
