import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { inputProblems, valueProblems } from '../../contracts/input-problems.ts';
import { isLargerThan } from '../../contracts/json-size.ts';
import { parseInput } from '../../workflows/procedure/parse-input.ts';

const contract = { type: 'toy', input: z.strictObject({ database: z.string().optional(), names: z.array(z.string()).optional() }) };
const problems = (value: unknown) => inputProblems(contract, contract.input.safeParse(value).error?.issues ?? []);

describe('what is wrong with an input', () => {
  it('is said in one sentence, each with what would be right', () => {
    expect(problems({ database: 7, nmae: 1 })).toBe('the input of toy is not valid: database: must be text; input: there is no "nmae"; there are database, names');
  });

  it('is not all said where it is more than anybody reads, and fits into an answer', () => {
    expect(problems({ names: Array.from({ length: 25 }, () => 1) })).toMatch(/names\.0: must be text; .*names\.9: must be text; and 15 more$/);
    expect(problems(Object.fromEntries(Array.from({ length: 25 }, (_, index) => [`k${index}`, 1])))).toMatch(/there is no "k0", .*"k9" and 15 more; there are/);
    for (const hostile of [{ names: Array.from({ length: 10_000 }, () => 1) }, Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, 1])), { ['x'.repeat(100_000)]: 1 }]) expect(problems(hostile).length).toBeLessThan(2_100);
    expect(valueProblems(contract.input.safeParse({ ['x'.repeat(100_000)]: 1 }).error?.issues ?? []).length).toBeLessThan(2_100);
    expect(valueProblems(contract.input.safeParse([]).error?.issues ?? [])).toBe('must be a JSON object');
  });

  it('is not looked for in megabytes', () => {
    const began = performance.now();
    expect(() => parseInput(contract, { names: Array.from({ length: 500_000 }, () => 1) })).toThrow('the input of toy is not valid: it has more than 262144 characters');
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(parseInput(contract, { names: ['a'] })).toEqual({ names: ['a'] });
  });
});

it('a value is as large as its JSON', () => {
  expect([isLargerThan('abc', 5), isLargerThan('abc', 4), isLargerThan({ a: '\u0001' }, 13), isLargerThan(undefined, 0), isLargerThan(() => 1, 0)]).toEqual([false, true, true, false, false]);
});
