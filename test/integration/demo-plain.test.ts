import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { startDemoProgram } from '../support/demo-program.ts';
import { problemsByPublishedSchema } from '../support/published-schema.ts';

// What else the demo can be asked for: test/breadth/demo-whole.test.ts.
it('the demo, asked for nothing, ends with 0, shows where its evidence and report are, which hold alone, and leaves nothing else', async () => {
  const { said, printed, ended, left } = startDemoProgram();
  expect(await ended, said()).toEqual([0, null]);
  expect(said()).toContain('verdict: restore sound');
  const evidence = JSON.parse(readFileSync(printed(/\nevidence +(\S+\.json)\n/), 'utf8')) as unknown;
  expect(problemsByPublishedSchema(evidence)).toEqual([]);
  const { outcome, verdict, failure, teardown, workflowId } = evidenceSchema.parse(evidence);
  expect({ outcome, verdict, failure, provenAbsent: teardown.provenAbsent }).toEqual({ outcome: 'succeeded', verdict: { restore: 'sound', rto: 'met', rpo: 'met' }, failure: null, provenAbsent: true });
  const report = readFileSync(printed(/\nreport +(\S+\.html)\n/), 'utf8');
  expect(report).toContain(workflowId);
  expect(report).not.toMatch(/(src|href)=|@import|url\(|<script/);
  expect(await left()).toEqual({ processes: [], files: [] });
});
