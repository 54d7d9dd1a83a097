import { z } from 'zod';
import type { RunbookContract } from './runbook.ts';
import { shortened } from './whole-characters.ts';

type Issue = z.core.$ZodIssue;

/** What is wrong with the input of a run, as one sentence for people: every problem, each with what would be right. */
export function inputProblems({ type, input }: Pick<RunbookContract, 'type' | 'input'>, issues: readonly Issue[]): string {
  const fields = input instanceof z.ZodObject ? Object.keys(input.shape) : [];
  return `the input of ${type} is not valid: ${inOneSentence(issues, (issue) => problemsOf(issue, [], fields))}`;
}

/** What is wrong with what an operator gave for the step of a run. */
export function valueProblems(issues: readonly Issue[]): string {
  return inOneSentence(issues, (issue) => problemsOf(issue, [], [], ''));
}

/** So many problems are told, in so many characters: anybody can send a thousand, and what is said of them has to fit into an answer. */
const TOLD = 10;
const LONGEST = 2_000;

function inOneSentence(issues: readonly Issue[], words: (issue: Issue) => string[]): string {
  const told = issues.slice(0, TOLD).flatMap(words).slice(0, TOLD);
  const more = issues.length > TOLD ? [`and ${issues.length - TOLD} more`] : [];
  return shortened([...told, ...more].join('; '), LONGEST);
}

function problemsOf(issue: Issue, prefix: readonly PropertyKey[], fields: readonly string[], whole = 'input'): string[] {
  const path = [...prefix, ...issue.path];
  const at = (sentence: string): string[] => [[path.join('.') || whole, sentence].filter((part) => part !== '').join(': ')];
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = path.length === 0 && fields.length > 0 ? `; there are ${fields.join(', ')}` : '';
      return at(`there is no ${issue.keys.slice(0, TOLD).map((key) => `"${key}"`).join(', ')}${issue.keys.length > TOLD ? ` and ${issue.keys.length - TOLD} more` : ''}${known}`);
    }
    case 'invalid_type':
      return at(`must be ${WORDS[issue.expected] ?? issue.expected}`);
    case 'invalid_value':
      return at(`must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`);
    case 'too_big':
      return at(issue.origin === 'string' ? `is longer than ${issue.maximum} characters` : issue.message);
    case 'invalid_union': {
      // A branch that complains of nothing but what lies within is the one that was meant.
      const meant = issue.errors.find((branch) => branch.every((inner) => inner.path.length > 0 && inner.code !== 'invalid_type'));
      return meant ? meant.slice(0, TOLD).flatMap((inner) => problemsOf(inner, path, fields)) : at(issue.message);
    }
    default:
      return at(issue.message);
  }
}

const WORDS: Record<string, string> = { object: 'a JSON object', string: 'text', number: 'a number', boolean: 'true or false', array: 'a list' };
