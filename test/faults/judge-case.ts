import { BY_DESIGN } from '../support/by-design.ts';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import type { DrillRun } from './drill-run.ts';
import type { Fault, Struck } from './fault.ts';
import type { Scene } from './scene.ts';
import { wasAt, type Point } from './points.ts';
import type { Timeline } from './timeline.ts';

/** What of a fault says how a run must end. */
export type Judged = Pick<Fault, 'expected' | 'retried'>;

export interface Ending { status: string; evidence: Evidence[]; run: Timeline; guardian: Timeline | undefined; guardianStatus: string | undefined; /** What nobody can verify here, and says so. */ byDesign?: RegExp }

export async function readEnding({ evidenceDirectory, byDesign = BY_DESIGN }: Scene, run: DrillRun, status: string): Promise<Ending> {
  const names = (await readdir(evidenceDirectory).catch(() => [])).filter((name) => name.startsWith(run.owner.workflowId.replaceAll('/', '_')));
  const texts = await Promise.all(names.filter((name) => name.endsWith('.json')).map((name) => readFile(join(evidenceDirectory, name), 'utf8')));
  return {
    status, evidence: texts.map((text) => evidenceSchema.parse(JSON.parse(text))),
    run: await run.timeline(), guardian: await run.guardianTimeline(), guardianStatus: await run.guardianStatus(), byDesign,
  };
}

/** Whether the fault found the run where it was aimed, and did something. */
export function hasStruck(fault: Judged, point: Point, struck: Struck, { run, guardian }: Ending): boolean {
  if (struck.isCertain) return true;
  if (!wasAt(point, struck.atMs, run, guardian)) return false;
  if (fault.expected === 'terminated') return run.eventNames.has('workflowExecutionTerminated');
  if (fault.expected === 'timedOut') return run.eventNames.has('workflowExecutionTimedOut');
  if (fault.expected === 'cancelled') return run.eventNames.has('workflowExecutionCancelRequested');
  if (!fault.retried || point.where !== 'inside') return true;
  return run.activities.some(({ type, attempts }) => type === point.activity && attempts > 1);
}

/** What is wrong with how the run ended. */
export function endingProblems(fault: Judged, point: Point, { status, evidence, guardianStatus, byDesign = BY_DESIGN }: Ending): string[] {
  const problems: string[] = [];
  const [record] = evidence;
  if (guardianStatus !== undefined && guardianStatus !== 'COMPLETED') problems.push(`the guardian is ${guardianStatus}`);
  if (!record) return [...problems, 'there is no evidence'];
  const wanted = expectedEnding(fault, point, record);
  if (status !== wanted.status) problems.push(`the run is ${status}, not ${wanted.status}: ${record.failure?.message ?? 'no failure'}`);
  if (record.outcome !== wanted.outcome) problems.push(`the evidence says ${record.outcome}, not ${wanted.outcome}: ${record.failure?.message ?? 'no failure'}`);
  if (record.verdict.restore !== wanted.restore) problems.push(`the verdict is ${record.verdict.restore}, not ${wanted.restore}`);
  const open = record.notVerified.filter((reason) => !byDesign.test(reason));
  if (fault.expected === 'recovered' && open.length > 0) problems.push(`not verified: ${open.join('; ')}`);
  if (record.steps.some(({ outcome }) => outcome === 'running' || outcome === 'waiting')) problems.push('the evidence has a step that still runs');
  const last = record.steps.at(-1);
  if ((fault.expected === 'terminated' || fault.expected === 'timedOut') && point.where === 'inside' && record.chain.writtenBy === 'guardian' && !(last?.name === point.step && last.outcome === 'cancelled')) problems.push(`the evidence ends with ${last?.name}, ${last?.outcome}, not with ${point.step}, cancelled`);
  if (fault.expected === 'fenced' && !record.failure?.message.includes("is not this run's")) problems.push(`the failure does not say whose the name is: ${record.failure?.message}`);
  if (fault.expected === 'hostLost' || fault.expected === 'fenced') {
    if (record.teardown.outcome === 'done') problems.push('the teardown claims to be done, and could not be');
  } else if (!record.teardown.provenAbsent) problems.push(`absence is not proven: ${record.teardown.proofs.flatMap(({ found }) => found).join('; ')}`);
  return problems;
}

/**
 * What is wrong with how a run ended of which nobody knows whether, or where, the fault struck it: it must have ended as
 * one that was struck where this was meant, or elsewhere, or not at all.
 */
export function unprovenEndingProblems(fault: Judged, point: Point, ending: Ending): string[] {
  const elsewhere: Point = { ...point, where: 'during', step: 'tearing down' };
  const accounts = [endingProblems(fault, point, ending), endingProblems(fault, elsewhere, ending), endingProblems({ ...fault, expected: 'recovered' }, point, ending)];
  return accounts.find((problems) => problems.length === 0) ?? accounts[0] ?? [];
}

function expectedEnding(fault: Judged, point: Point, record: Evidence): { status: string; outcome: string; restore: string | null } {
  switch (fault.expected) {
    case 'recovered': return { status: 'COMPLETED', outcome: 'succeeded', restore: 'sound' };
    // Terminated after its evidence was written: that stays, since it says what the run did. The backup is a healthy one:
    // what was not measured to its end is not judged, and what was is sound.
    case 'terminated': return { status: 'TERMINATED', outcome: record.chain.writtenBy === 'run' ? 'succeeded' : 'terminated', restore: record.recovery === null ? null : 'sound' };
    case 'timedOut': return { status: 'TIMED_OUT', outcome: record.chain.writtenBy === 'run' ? 'succeeded' : 'timedOut', restore: record.recovery === null ? null : 'sound' };
    case 'cancelled': return { status: 'FAILED', outcome: 'cancelled', restore: null };
    case 'fenced': return { status: 'FAILED', outcome: 'failed', restore: null };
    // Lost after the last step, the drill has found out what it was for, and failed by what it left.
    case 'hostLost': return point.step === 'tearing down' ? { status: 'FAILED', outcome: 'failed', restore: 'sound' } : { status: 'FAILED', outcome: 'failed', restore: null };
  }
}

/** Effects that happened twice, by what was recorded: a step's activity that completed twice, two pieces of evidence. */
export function effectsTwice({ evidence, run, guardian }: Ending): string[] {
  const twice: string[] = [];
  if (evidence.length > 1) twice.push(`${evidence.length} pieces of evidence`);
  const completed = [...run.activities.filter(({ step }) => step !== null), ...(guardian?.activities ?? []).filter(({ type }) => /^(open|close)/.test(type))].filter((activity) => activity.completed);
  for (const { type, step } of completed) {
    if (completed.filter((other) => other.type === type && other.step === step).length > 1) twice.push(`${type} of ${step ?? 'the guardian'} completed twice`);
  }
  const [record] = evidence;
  const names = record?.steps.map(({ name }) => name) ?? [];
  for (const name of new Set(names)) if (names.filter((other) => other === name).length > 1) twice.push(`step ${name} is recorded twice`);
  const undone = record?.compensations.map(({ id }) => id) ?? [];
  if (new Set(undone).size < undone.length) twice.push('a compensation is recorded twice');
  return [...new Set(twice)];
}
