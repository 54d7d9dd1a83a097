import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { EVIDENCE_SCHEMA_FILE, evidenceJsonSchema } from '../../scripts/evidence-schema.ts';
import { problemsByPublishedSchema } from '../support/published-schema.ts';
import { sampleEvidence } from './report-fixture.ts';

const directory = fileURLToPath(new URL('../replay/evidence', import.meta.url));
const recorded = readdirSync(directory).sort();
const read = (name: string): Record<string, unknown> => JSON.parse(readFileSync(join(directory, name), 'utf8')) as Record<string, unknown>;

describe('the published JSON schema of evidence', () => {
  it('is the one that contracts/evidence.ts makes; if not, run: npm run evidence-schema', () => {
    expect(readFileSync(EVIDENCE_SCHEMA_FILE, 'utf8')).toBe(evidenceJsonSchema());
  });

  it('has real evidence of every end to look at', () => {
    expect(new Set(recorded.map((name) => read(name)['outcome']))).toEqual(new Set(['succeeded', 'failed', 'rejected', 'aborted', 'cancelled', 'terminated']));
  });

  it.each(recorded)('accepts %s, which a real run wrote', (name) => {
    expect(problemsByPublishedSchema(read(name))).toEqual([]);
  });

  it('accepts evidence in which everything happened', () => {
    expect(problemsByPublishedSchema(sampleEvidence())).toEqual([]);
  });

  const damages: [string, (evidence: ReturnType<typeof sampleEvidence>) => unknown][] = [
    ['without a field', (evidence) => ({ ...evidence, teardown: undefined })],
    ['with a field that nobody knows', (evidence) => ({ ...evidence, signedBy: 'me' })],
    ['of another schema version', (evidence) => ({ ...evidence, schemaVersion: 2 })],
    ['with an outcome that does not exist', (evidence) => ({ ...evidence, outcome: 'fine' })],
    ['with a verdict that does not exist', (evidence) => ({ ...evidence, verdict: { ...evidence.verdict, restore: 'probably' } })],
    ['with a time without milliseconds', (evidence) => ({ ...evidence, startedAt: '2026-11-21T03:00:00Z' })],
    ['with a time in another zone', (evidence) => ({ ...evidence, startedAt: '2026-11-21T03:00:00.000+01:00' })],
    ['with the 30th of February', (evidence) => ({ ...evidence, finishedAt: '2026-02-30T03:00:00.000Z' })],
    ['with a number as text', (evidence) => ({ ...evidence, recovery: evidence.recovery && { ...evidence.recovery, rtaSeconds: '380' } })],
    ['with a fraction of a lost transaction', (evidence) => ({ ...evidence, recovery: evidence.recovery && { ...evidence.recovery, lostTransactions: 1.5 } })],
    ['with a decision by nobody in particular', (evidence) => ({ ...evidence, gates: evidence.gates.map((gate) => ({ ...gate, decisions: [{ decision: 'approve' }] })) })],
  ];
  it.each(damages)('refuses evidence %s, as our own schema does', (_name, damage) => {
    const damaged = JSON.parse(JSON.stringify(damage(sampleEvidence()))) as unknown;
    expect(problemsByPublishedSchema(damaged)).not.toEqual([]);
    expect(evidenceSchema.safeParse(damaged).success).toBe(false);
  });
});
