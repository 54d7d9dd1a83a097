import { describe, expect, it } from 'vitest';
import { block, code, text } from '../../activities/evidence/markdown.ts';
import { renderMarkdown } from '../../activities/evidence/report-markdown.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { earlierRun, everywhere, sampleEvidence } from './report-fixture.ts';

const sealed = (): Evidence => {
  const evidence = sampleEvidence({ failure: { type: 'X', message: 'y' } });
  return { ...evidence, chain: { ...evidence.chain, seal: { method: 'sha256-rfc8785-v1', salts: { seed: 's'.repeat(32) }, entries: [], head: 'b'.repeat(64), signature: { algorithm: 'ed25519', key: 'c'.repeat(64), value: 'v' } } } };
};
const rendered = (value: string) => renderMarkdown(everywhere(value, sealed()), [earlierRun({ head: value })]);

/** What of a line a reader of GitHub's Markdown makes something of: neither what is escaped, nor code, nor plain text. */
function made(line: string): string {
  let left = '';
  for (let rest = line; rest !== '';) {
    const [taken = ''] = /^(?:\\[!-/:-@[-`{-~]|`+|[^`\\]|\\)/.exec(rest) ?? [];
    rest = rest.slice(taken.length);
    if (taken.startsWith('`')) {
      const end = [...rest.matchAll(/`+/g)].find(([ticks]) => ticks.length === taken.length);
      if (!end) left += taken;
      rest = end ? rest.slice(end.index + taken.length) : rest;
    } else if (taken.length === 1) left += taken;
  }
  return left;
}
/** A cell ends at each bar without a back slash right before it, code or not. */
const bars = (line: string) => [...line.matchAll(/(?<!\\)\|/g)].length;
const LINK = /https?:|www\.|\/\/|[\w.]@|@\w|#\w|:[a-z]|javascript/;

/** Lines outside of blocks, and how many blocks there are. */
function linesOf(markdown: string): { lines: string[]; blocks: number } {
  const lines: string[] = [];
  let blocks = 0;
  let fence: string | undefined;
  for (const line of markdown.split(/\r\n|[\n\r\u2028\u2029]/)) {
    const [, ticks = ''] = /^ {0,3}(`{3,}|~{3,})[^`]*$/.exec(line) ?? [];
    if (fence === undefined && ticks !== '') {
      fence = ticks;
      blocks += 1;
    } else if (fence !== undefined && ticks.startsWith(fence) && line.trim() === ticks) fence = undefined;
    else if (fence === undefined) lines.push(line);
  }
  return { lines, blocks };
}

const HOSTILE = [
  'x\n```\n# out', 'a\n# b\r\n- c\u2028d', '# heading', '- item', '+ item', '1. item', '7) item', '> quote', '---', '===', '```', '```\n</pre>', '~~~', '[x](javascript:alert(1))', '![i](https://evil.example/x.png)',
  '<script>alert(1)</script>', '<!-- hidden', '&lt;b&gt;', '| a | b |', String.raw`\| a \\| b \ `, '`a|b`', '`a', '``a` b|`` `', 'see https://evil.example now', 'www.evil.example', 'mail a.b@evil.example', '@org/team do', 'fixes #12', 'GH-12',
  'a1b2c3d4e5f', '**b** _i_ ~~s~~ $m$ ^u', '[^1]: note', '[x]: http://y', ':tada: done', String.raw`\\`, '    code', '\u202E\u001B[2J', '*', '<https://evil.example>', 'http://a|b', '`#1|@b\\|c',
];

describe('the report in Markdown', () => {
  const benign = linesOf(rendered('word'));

  it.each(HOSTILE)('makes nothing of %j in any field', (hostile) => {
    const { lines, blocks } = linesOf(rendered(hostile));
    expect(blocks).toBe(benign.blocks);
    expect(lines).toHaveLength(benign.lines.length);
    const shape = (line: string) => made(line).replaceAll(/[^#*_[\]<>&!|`~$^+=\\-]/g, '');
    for (const [index, line] of lines.entries()) {
      const expected = benign.lines[index]!;
      expect(bars(line), line).toBe(bars(expected));
      expect(shape(line).replaceAll('-', ''), line).toBe(shape(expected).replaceAll('-', ''));
      expect(/^\s*([-+>#|*]|\d+[.)])*/.exec(line)?.[0], line).toBe(/^\s*([-+>#|*]|\d+[.)])*/.exec(expected)?.[0]);
      expect(made(line), line).not.toMatch(LINK);
    }
  });

  it.each(['- item', '1. item', '---', '```x', '    code', '> q', '# h'])('makes no block of %j where it begins one', (value) => {
    for (const form of [text(value), code(value)]) expect(form).not.toMatch(/^(\s|[-+>#]|\d+[.)]|```[^`]*$)/);
  });

  it('ends no block by what is in it', () => {
    expect(block(['x\n```\n# out', '````', 'b'])).toBe('`````text\nx ``` # out\n````\nb\n`````');
  });

  it.each([
    ['expected 0, got 3', 'expected 0, got 3'], ['a_b', String.raw`a\_b`], ['0.1.0', '0.1.0'], ['2. and 1)', String.raw`2\. and 1)`], ['at 2026-11-21T03:00:50.000Z: no', 'at 2026-11-21T03:00:50.000Z: no'],
    ['a|b', String.raw`a\|b`], ['http://a|b', '`http://a`\\|`b`'], ['x@`y`', '`` x@`y` ``'],
  ])('shows %j as it is', (value, markdown) => expect(text(value)).toBe(markdown));

  it.each([
    '# This backup restores, but an objective was missed', '- verdict: restore **sound**, RTO **met**, RPO **missed**',
    '| recovery time, without waiting for people | 4 min 42 s | 1 h 00 min | **met** |', '| recovery point | 6 min 52 s | 5 min 00 s | **missed** |', '| copying | 1 min 40 s | 26.3 % |',
    '| no orphans | **failed** | expected 0, got 3 |', '- unlogged table public.sessions', '### Gate start', '| extended | to 2026-11-22T03:00:00.000Z by dora |',
    '| approve | erin, on behalf of bob | signature | `SHA256:0RcE2ahUkz (ED25519)` | update; named the plan | **yes** |', String.raw`| retry step | recover | dora | update | another disk | \{"disk":2\} |`,
    '| reindex | skipped | 0.00 s | 0 | skipped by dora: later |', '| remove the copy | copy | **done** | 1.00 s | gone |', '- destroyed directory /var/drills/dr-1', '- 3 more',
    `| succeeded | restore sound, RTO met, RPO missed | 4 min 42 s, without waiting for people | 6 min 52 s | \`${'a'.repeat(64)}\` |`, `--head ${'b'.repeat(64)}`, 'runbook verify dr-test_orders_20261121T030000.000Z.',
  ])('says %s', (part) => expect(renderMarkdown({ ...sealed(), failure: null }, [earlierRun({})])).toContain(part));

  it('draws the timeline to scale: a gate of 98 of 400 seconds takes 98/400 of the bar, after the 2 seconds before it', () => {
    const rows = [...renderMarkdown(sampleEvidence(), []).matchAll(/^ *(\S.*?) {2,}(\S.*?) \|(.{40})\| (.*)$/gm)].map(([, at, takes, bar, name]) => ({ at, takes, bar, name }));
    expect(rows.map(({ name }) => name)).toEqual(['plan', 'gate start', 'copy', 'recover', 'reindex', 'tear down']);
    expect(rows[1]).toEqual({ at: '2.00 s', takes: '1 min 38 s', bar: '░'.repeat(10).padEnd(40), name: 'gate start' });
    expect(rows[2]?.bar).toBe(`${' '.repeat(10)}${'█'.repeat(10)}`.padEnd(40));
    expect(rows[4]?.bar).toBe(`${' '.repeat(38)}- `);
  });

  it('is made of a run that died before its first step, and of evidence without a chain', () => {
    const markdown = renderMarkdown(sampleEvidence({ steps: [], gates: [], operations: [], refused: [], recovery: null, plan: null, checks: [], compensations: [], finishedAt: sampleEvidence().startedAt, outcome: 'terminated' }), []);
    expect(markdown).toContain('ended before its first step');
    expect(markdown).toContain('it cannot be verified');
    expect(markdown).not.toMatch(/NaN|Infinity|undefined|null/);
  });
});

it('lines with however many back quotes, and however many lines, stay as they are', () => {
  const line = '`a'.repeat(200_000);
  expect(code(line)).toBe(`\`\` ${line} \`\``);
  expect(block(Array.from({ length: 200_000 }, () => '```')).startsWith('````text\n```\n')).toBe(true);
});
