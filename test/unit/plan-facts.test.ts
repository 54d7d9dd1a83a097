import { expect, it } from 'vitest';
import { planFacts } from '../../contracts/plan-facts.ts';

it('tells of a plan of any form what is decided on, what lies deeper later', () => {
  expect(planFacts({ plan: { window: { from: '22:00', days: ['mon', 'tue'] }, minutes: 600, checks: [{ sql: '' }, { sql: '' }], former: null }, input: { database: 'shop' }, codeVersion: '1.2.3' })).toEqual([
    'minutes: 600', 'checks: 2 of them', 'former: none', 'window.from: 22:00', 'window.days: mon, tue', 'code version: 1.2.3', 'input.database: shop',
  ]);
});

it('has nothing to tell of no plan', () => {
  expect(planFacts({ plan: null })).toEqual([]);
});

it('stays short, and says what it left out', () => {
  const facts = planFacts({ plan: Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`n${index}`, 'x'.repeat(500)])) });
  expect(facts).toHaveLength(15);
  expect(facts.at(-1)).toBe('and 6 more: temporal workflow query --type plan');
  expect(Math.max(...facts.map((fact) => fact.length))).toBe(160);
});

it('leaves out neither the input nor the code version for a long plan', () => {
  const facts = planFacts({ plan: Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`n${index}`, index])), input: { database: 'shop' }, codeVersion: '1.2.3' });
  expect(facts.slice(-4)).toEqual(['n11: 11', 'code version: 1.2.3', 'input.database: shop', 'and 8 more: temporal workflow query --type plan']);
});

it('lets no name or value steer a terminal, break a line, or overflow the stack', () => {
  let deep: unknown = 'end';
  for (let level = 0; level < 20_000; level += 1) deep = { deep };
  expect(planFacts({ plan: { 'a\nb': '\u001B[2J', deep } })).toEqual(['a b: \uFFFD[2J', 'deep.deep.deep.deep.deep.deep: …']);
});
