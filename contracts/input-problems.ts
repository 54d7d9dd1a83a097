import { z } from 'zod';
import type { RunbookContract } from './runbook.ts';

type Issue = z.core.$ZodIssue;

/** What is wrong with the input of a run, as one sentence for people: every problem, each with what would be right. */
export function inputProblems({ type, input }: Pick<RunbookContract, 'type' | 'input'>, issues: readonly Issue[]): string {
  const fields = input instanceof z.ZodObject ? Object.keys(input.shape) : [];
  return `the input of ${type} is not valid: ${issues.flatMap((issue) => problemsOf(issue, [], fields)).join('; ')}`;
}

function problemsOf(issue: Issue, prefix: readonly PropertyKey[], fields: readonly string[]): string[] {
  const path = [...prefix, ...issue.path];
  const at = (sentence: string): string[] => [`${path.join('.') || 'input'}: ${sentence}`];
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = path.length === 0 && fields.length > 0 ? `; there are ${fields.join(', ')}` : '';
      return at(`there is no ${issue.keys.map((key) => `"${key}"`).join(', ')}${known}`);
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
      return meant ? meant.flatMap((inner) => problemsOf(inner, path, fields)) : at(issue.message);
    }
    default:
      return at(issue.message);
  }
}

const WORDS: Record<string, string> = { object: 'a JSON object', string: 'text', number: 'a number', boolean: 'true or false', array: 'a list' };
