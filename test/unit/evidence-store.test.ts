import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createEvidenceStore } from '../../activities/evidence/store.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { sampleEvidence } from './report-fixture.ts';

let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'drb-evidence-')); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('what a killed worker left half written goes when the same files are written, and nothing else does', async () => {
  const other = 'other.json.4711.part';
  const written = await createEvidenceStore(directory).write(sampleEvidence());
  const files = [written.evidence, written.report].map((file) => basename(file));
  for (const file of files) {
    rmSync(join(directory, file));
    writeFileSync(join(directory, `${file}.4711.part`), '{"half');
  }
  writeFileSync(join(directory, other), '{"half');
  await createEvidenceStore(directory).write(sampleEvidence());
  expect(readdirSync(directory).sort()).toEqual([...files, other].sort());
});

it('of a run and its guardian, who write at the same time, one is first: its evidence stays, and the report is of the same', async () => {
  for (let round = 0; round < 10; round += 1) {
    const seen = await Promise.all((['succeeded', 'terminated'] as const).map(async (outcome) => {
      const { evidence, report } = await createEvidenceStore(directory).write({ ...sampleEvidence(), runId: `run-${round}`, outcome });
      return { outcome: (JSON.parse(await readFile(evidence, 'utf8')) as { outcome: string }).outcome, report: await readFile(report, 'utf8') };
    }));
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]?.report).toContain(`on orders: ${seen[0]?.outcome}`);
  }
});

it('attempts that write at the same time all end with the same whole files', async () => {
  const store = createEvidenceStore(directory);
  const [first, ...others] = await Promise.all([store.write(sampleEvidence()), store.write(sampleEvidence()), store.write(sampleEvidence())]);
  for (const other of others) expect(other).toEqual(first);
  const kept = JSON.parse(await readFile(first.evidence, 'utf8')) as Evidence;
  expect({ ...kept, chain: { ...kept.chain, seal: null } }).toEqual(sampleEvidence());
  expect(kept.chain.seal?.head).toBe(first.head);
  expect(readdirSync(directory)).toHaveLength(2);
});
