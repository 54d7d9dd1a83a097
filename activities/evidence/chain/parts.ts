import { CHAIN_METHOD, type EntryKind } from '../../../contracts/chain.ts';
import { isObject } from './digest.ts';

/** A part of the evidence that one entry of the chain is for. */
export interface Part { kind: EntryKind; of: string; value: unknown }

type Json = Record<string, unknown>;

/** The members of the evidence that `header` and `close` hold. All others are lists, or parts of their own. */
export const HEADER: readonly string[] = ['schemaVersion', 'runbook', 'workflowId', 'runId', 'target', 'requester', 'startedBy', 'reason', 'startedAt'];
/** Those of `close`: what is only known at the end. */
export const CLOSE: readonly string[] = ['outcome', 'failure', 'verdict', 'finishedAt', 'notVerified', 'refused', 'refusedLeftOut', 'operationsLeftOut', 'costs'];
/** What `header` holds of the chain itself. */
export const CHAIN_HEADER: readonly string[] = ['codeVersion', 'planHash', 'writtenBy'];
/** The lists of the evidence, and of what kind their elements are. */
export const LISTS = { steps: 'step', gates: 'gate', operations: 'operation', checks: 'check', compensations: 'compensation' } as const;
/** The members that are one part, and of what kind. */
export const SINGLES = { plan: 'plan', recovery: 'measurement', teardown: 'teardown' } as const;

/** The members of evidence that its chain covers; with `chain`, there is no other. */
export const COVERED: readonly string[] = [...HEADER, ...CLOSE, ...Object.keys(LISTS), ...Object.keys(SINGLES)];

/**
 * Every part of a piece of evidence, in the order of the chain: what was asked for, the plan, what happened by the time of
 * the server, what was found out, what was undone, how it ended. Takes what it finds: evidence that is verified may be anything.
 */
export function partsOf(evidence: Json): Part[] {
  const list = (name: keyof typeof LISTS): Part[] => listOf(evidence[name]).map((value, index) => ({ kind: LISTS[name], of: `/${name}/${index}`, value: name === 'gates' ? withoutDecisions(value) : value }));
  const decisions = listOf(evidence['gates']).flatMap((gate, at) => listOf(isObject(gate) ? gate['decisions'] : undefined).map((value, index): Part => ({ kind: 'decision', of: `/gates/${at}/decisions/${index}`, value })));
  const happened = [...list('steps'), ...list('gates'), ...decisions, ...list('operations')];
  const single = (name: keyof typeof SINGLES): Part[] => (Object.hasOwn(evidence, name) ? [{ kind: SINGLES[name], of: `/${name}`, value: evidence[name] }] : []);
  return [
    { kind: 'header', of: '', value: { ...pick(evidence, HEADER), method: CHAIN_METHOD, chain: pick(isObject(evidence['chain']) ? evidence['chain'] : {}, CHAIN_HEADER) } },
    ...single('plan'),
    // Of those at the same time, the order of the lists: sorting keeps it.
    ...happened.sort((a, b) => (instantOf(a.value) < instantOf(b.value) ? -1 : instantOf(a.value) > instantOf(b.value) ? 1 : 0)),
    ...list('checks'),
    ...single('recovery'),
    ...list('compensations'),
    ...single('teardown'),
    { kind: 'close', of: '', value: pick(evidence, CLOSE) },
  ];
}

/** A part for people, counted from 1. */
export function labelOf({ kind, of, value }: { kind: EntryKind; of: string; value?: unknown }): string {
  // In a file that somebody made, a place may have any number of digits, and a name none.
  const counted = of.split('/').filter((word) => /^\d+$/.test(word)).map((word) => (word.length < 10 ? Number(word) + 1 : '?'));
  const name = isObject(value) && typeof value['name'] === 'string' ? ` (${value['name']})` : '';
  switch (kind) {
    case 'header': return 'the header';
    case 'close': return 'the end';
    case 'plan': return 'the plan';
    case 'measurement': return 'the measurement';
    case 'teardown': return 'the teardown';
    case 'decision': return `decision ${counted[1] ?? '?'} at gate ${counted[0] ?? '?'}`;
    default: return `${kind} ${counted[0] ?? '?'}${name}`;
  }
}

function pick(from: Json, names: readonly string[]): Json {
  return Object.fromEntries(names.filter((name) => Object.hasOwn(from, name)).map((name) => [name, from[name]]));
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Decisions have entries of their own. */
function withoutDecisions(gate: unknown): unknown {
  return isObject(gate) ? Object.fromEntries(Object.entries(gate).filter(([name]) => name !== 'decisions')) : gate;
}

function instantOf(value: unknown): string {
  if (!isObject(value)) return '';
  const at = value['at'] ?? value['startedAt'] ?? value['openedAt'];
  return typeof at === 'string' ? at : '';
}
