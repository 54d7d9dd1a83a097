import type { Document, LineCounter } from 'yaml';
import { isMap, isPair, isScalar, visit } from 'yaml';
import { z } from 'zod';
import { configurationSchema, NUMBER_AS_WRITTEN } from '../contracts/configuration.ts';
import { KERNEL_GATES } from '../contracts/gate.ts';
import { RUNBOOKS } from '../contracts/runbooks.ts';

type Issue = z.core.$ZodIssue;
interface Finding { path: PropertyKey[]; sentence: string; atKey: boolean }

/** One line for each thing that breaks the schema, in the order of the file: `runbooks.yaml:12:7: databases.orders…: …`. */
export function describeIssues(issues: readonly Issue[], document: Document, lines: LineCounter, file: string): string[] {
  const findings = issues.flatMap((issue) => findingsOf(issue, [], document));
  return findings
    .map((finding) => ({ finding, offset: offsetOf(document, finding) }))
    .sort((a, b) => a.offset - b.offset)
    .map(({ finding, offset }) => {
      const { line, col } = lines.linePos(offset);
      return `${file}:${line}:${col}: ${finding.path.length > 0 ? `${finding.path.join('.')}: ` : ''}${finding.sentence}`;
    });
}

/** References to what is not there: YAML finds them only when it makes a value of its text, and then does not say where they are. */
export function unresolvedAliases(document: Document): { name: string; offset: number }[] {
  const found: { name: string; offset: number }[] = [];
  visit(document, {
    Alias: (_key, node) => {
      if (node.resolve(document) === undefined) found.push({ name: node.source, offset: node.range?.[0] ?? 0 });
    },
  });
  return found;
}

/** Whole numbers that a check expects and that are not written as PostgreSQL writes them, such as 1.0 or 0123: once read, nothing tells. `value`: as below. */
export function numbersReadOtherwise(value: unknown, document: Document): Issue[] {
  const databases = membersOf(value, 'databases');
  return namesOf(databases).flatMap((database) => namesOf(membersOf(membersOf(databases, database), 'checks')).flatMap((index): Issue[] => {
    const path = ['databases', database, 'checks', Number(index), 'expect'];
    const node = document.getIn(path, true);
    const isOther = isScalar(node) && Number.isSafeInteger(node.value) && node.source !== String(node.value);
    return isOther ? [{ code: 'custom', input: node.source, path, message: NUMBER_AS_WRITTEN }] : [];
  }));
}

function membersOf(group: unknown, name: string): unknown {
  return typeof group === 'object' && group !== null && Object.hasOwn(group, name) ? (group as Record<string, unknown>)[name] : undefined;
}

function namesOf(group: unknown): string[] {
  return typeof group === 'object' && group !== null ? Object.keys(group) : [];
}

/** Policies of gates that neither a runbook nor the kernel has: nobody would ever be asked. `value`: the file as it was read, valid or not. */
export function unknownGates(value: unknown): Issue[] {
  const known = [...new Set([...Object.values(RUNBOOKS).flatMap(({ gates }) => gates), ...KERNEL_GATES])];
  const databases = membersOf(value, 'databases');
  return namesOf(databases).flatMap((database) => namesOf(membersOf(membersOf(databases, database), 'gates')).filter((gate) => !known.includes(gate)).map((gate): Issue => ({
    code: 'invalid_key', origin: 'record', input: gate, path: ['databases', database, 'gates', gate], message: '',
    issues: [{ code: 'custom', input: gate, path: [], message: `there is no such gate; there are ${known.join(', ')}` }],
  })));
}

function findingsOf(issue: Issue, prefix: readonly PropertyKey[], document: Document): Finding[] {
  const path = [...prefix, ...issue.path];
  const at = (sentence: string): Finding[] => [{ path, sentence, atKey: false }];
  const isMissing = document.getIn(path as string[]) === undefined;
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], sentence: `there is no such setting${suggestionFor(key)}`, atKey: true }));
    case 'invalid_type':
      return at(isMissing ? `is missing; it must be ${article(issue.expected)}` : `must be ${article(issue.expected)}${issue.expected === 'string' ? '; put it in quotes' : ''}`);
    case 'invalid_union': {
      // The branch that comes closest tells best what is wrong; the others only say that it is not something else.
      const branch = issue.errors.toSorted((a, b) => weight(a) - weight(b))[0];
      if (isMissing) return at('is missing');
      if ('discriminator' in issue && typeof issue.discriminator === 'string') return at(`${issue.discriminator} is missing or unknown; see runbooks.example.yaml`);
      return branch ? branch.flatMap((inner) => findingsOf(inner, path, document)) : at(issue.message);
    }
    case 'invalid_value':
      return at(isMissing ? `is missing; it must be ${oneOf(issue.values)}` : `must be ${oneOf(issue.values)}`);
    case 'invalid_key':
      return [{ path, sentence: issue.issues[0]?.message ?? issue.message, atKey: true }];
    case 'too_small':
      return at(issue.origin === 'string' || issue.origin === 'array' ? 'must not be empty' : `must be ${issue.inclusive ? 'at least' : 'greater than'} ${issue.minimum}`);
    case 'too_big':
      return at(`must be at most ${issue.maximum}`);
    default:
      return at(issue.message);
  }
}

function weight(issues: readonly Issue[]): number {
  const ofItself = ({ code }: Issue) => (code === 'invalid_type' ? 4 : 3);
  return issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? 2 : issue.path.length === 0 ? ofItself(issue) : 1), 0);
}

function article(type: string): string {
  const words: Record<string, string> = { string: 'text', number: 'a number', int: 'a whole number', boolean: 'true or false', object: 'a group of settings', record: 'a group of settings', array: 'a list' };
  return words[type] ?? type;
}

function oneOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`;
}

/** Where a value is; the key for a wrong key; for a missing one the nearest group that is there. */
function offsetOf(document: Document, { path, atKey }: Finding): number {
  if (atKey || document.getIn(path as string[]) === undefined) {
    const parent = document.getIn(path.slice(0, -1) as string[], true);
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === path.at(-1));
      if (pair && isScalar(pair.key) && pair.key.range) return pair.key.range[0];
    }
    return path.length === 0 ? 0 : offsetOf(document, { path: path.slice(0, -1), sentence: '', atKey: true });
  }
  const node = document.getIn(path as string[], true) as { range?: [number, number, number] | null } | undefined;
  return node?.range?.[0] ?? 0;
}

let settingNames: Set<string> | undefined;

function suggestionFor(key: string): string {
  settingNames ??= collectNames(z.toJSONSchema(configurationSchema, { io: 'input', unrepresentable: 'any' }), new Set());
  const near = [...settingNames].map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) })).sort((a, b) => a.distance - b.distance)[0];
  return near && near.distance <= Math.max(1, Math.floor(key.length / 3)) && near.name !== key ? `; did you mean "${near.name}"?` : '; remove it or check its spelling';
}

function collectNames(schema: unknown, names: Set<string>): Set<string> {
  if (typeof schema !== 'object' || schema === null) return names;
  for (const [member, value] of Object.entries(schema)) {
    if (member === 'properties') for (const name of Object.keys(value as object)) names.add(name);
    collectNames(value, names);
  }
  return names;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
