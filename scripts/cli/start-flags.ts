import type { WorkflowStartOptions } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import { CommandError, EXIT } from './exit.ts';
import { defined, durationOf, type TemporalFlag } from './temporal-flags.ts';

/** What flags of `temporal workflow start` say of a run beside its input: passed on to the server as they are. */
export type WorkflowFlags = Partial<Pick<WorkflowStartOptions,
  'staticSummary' | 'staticDetails' | 'memo' | 'searchAttributes' | 'workflowExecutionTimeout' | 'workflowRunTimeout' | 'workflowTaskTimeout' | 'workflowIdReusePolicy' | 'priority'>>;

const value = (name: string): TemporalFlag => ({ name, kind: 'value' });
const list = (name: string): TemporalFlag => ({ name, kind: 'list' });

/** Why a run is not started with it, and what to do instead. */
export const REFUSED_START_FLAGS: Readonly<Record<string, string>> = {
  'start-delay': 'a run measures from when it is started, so the delay would count as time to recover; start it later, or use `temporal schedule create`',
  cron: 'use a schedule (`temporal schedule create`)',
  headers: 'runs read none',
  'input-meta': 'the input of a run is one JSON object',
  'input-base64': 'the input of a run is one JSON object; write it as it is',
};

/** All flags of `temporal workflow start` that concern the workflow, those of its input and its id among them. */
export const START_FLAGS: readonly TemporalFlag[] = [
  { ...list('input'), short: 'i' }, list('input-file'), { ...value('workflow-id'), short: 'w' }, value('type'), value('name'), { ...value('task-queue'), short: 't' },
  value('static-summary'), value('static-details'), list('memo'), list('search-attribute'),
  value('execution-timeout'), value('run-timeout'), value('task-timeout'), value('priority-key'), value('fairness-key'), value('fairness-weight'),
  { name: 'fail-existing', kind: 'switch' }, value('id-conflict-policy'), value('id-reuse-policy'),
  value('start-delay'), value('cron'), list('headers'), list('input-meta'), { name: 'input-base64', kind: 'switch' },
];

const REUSE = { AllowDuplicate: 'ALLOW_DUPLICATE', AllowDuplicateFailedOnly: 'ALLOW_DUPLICATE_FAILED_ONLY', RejectDuplicate: 'REJECT_DUPLICATE' } as const;

/** What the flags say. @throws CommandError for one that a run is not started with, or that nobody understands */
export function workflowFlagsOf(given: (name: string) => unknown): WorkflowFlags {
  for (const [name, why] of Object.entries(REFUSED_START_FLAGS)) {
    if (given(name) !== undefined && given(name) !== false) throw usage(`--${name} is not supported: ${why}`);
  }
  const text = (name: string) => given(name) as string | undefined;
  const conflict = text('id-conflict-policy');
  if (conflict !== undefined && conflict !== 'Fail') throw usage(`--id-conflict-policy ${conflict} is not supported: no run is ended or taken for another one by a start; there is Fail, which is the default`);
  const reuse = text('id-reuse-policy');
  if (reuse !== undefined && !Object.hasOwn(REUSE, reuse)) throw usage(`--id-reuse-policy ${reuse} is not supported: no run is ended by a start; there are ${Object.keys(REUSE).join(', ')}`);
  const priority = defined({ priorityKey: numberOf('priority-key', given), fairnessKey: text('fairness-key'), fairnessWeight: numberOf('fairness-weight', given) });
  // 0 is the server's own default.
  const timeout = (name: string) => durationOf(name, given) || undefined;
  return defined({
    staticSummary: text('static-summary'), staticDetails: text('static-details'),
    memo: pairsOf('memo', given), searchAttributes: attributesOf(given),
    workflowExecutionTimeout: timeout('execution-timeout'), workflowRunTimeout: timeout('run-timeout'), workflowTaskTimeout: timeout('task-timeout'),
    workflowIdReusePolicy: reuse === undefined ? undefined : REUSE[reuse as keyof typeof REUSE],
    priority: Object.keys(priority).length === 0 ? undefined : priority,
  });
}

const usage = (sentence: string, cause?: unknown) => new CommandError(EXIT.usage, sentence, { cause });

function numberOf(name: string, given: (name: string) => unknown): number | undefined {
  const said = given(name);
  if (typeof said !== 'string') return undefined;
  const number = Number(said);
  if (!(number > 0) || (name === 'priority-key' && !Number.isInteger(number))) throw usage(`--${name} ${said} is no such number: a priority is 1, 2 and so on, a weight from 0.001 to 1000`);
  return number;
}

/** `KEY=VALUE`, each time that the flag was given, with a value in JSON. */
function pairsOf(name: string, given: (name: string) => unknown): Record<string, unknown> | undefined {
  const pairs = given(name) as string[] | undefined;
  if (pairs === undefined) return undefined;
  return Object.fromEntries(pairs.map((pair) => {
    const [, key = '', json = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    if (key === '') throw usage(`--${name} ${pair} is not understood; write it as in --${name} 'ticket="OPS-1"'`);
    try {
      return [key, JSON.parse(json) as unknown];
    } catch (cause) {
      throw usage(`--${name} ${key}: its value is not JSON (${(cause as Error).message}); write text as in --${name} '${key}="some text"'`, cause);
    }
  }));
}

function attributesOf(given: (name: string) => unknown): WorkflowFlags['searchAttributes'] | undefined {
  const pairs = pairsOf('search-attribute', given);
  if (pairs === undefined) return undefined;
  const own = Object.keys(pairs).find((name) => Object.hasOwn(SEARCH_ATTRIBUTES, name));
  if (own !== undefined) throw usage(`--search-attribute ${own} is not supported: a run sets it itself`);
  return Object.fromEntries(Object.entries(pairs).map(([name, said]) => {
    const values = Array.isArray(said) ? said as unknown[] : [said];
    if (values.length === 0 || !values.every((one) => ['string', 'number', 'boolean'].includes(typeof one))) throw usage(`--search-attribute ${name}: its value has to be text, a number, true or false, or a list of them`);
    return [name, values as string[]];
  }));
}
