import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { configurationSchema } from '../../contracts/configuration.ts';
import { drTestInputSchema } from '../../contracts/dr-test.ts';
import { FAILURE_TYPES } from '../../contracts/failures.ts';
import { QUERIES, SIGNALS, UPDATES } from '../../contracts/messages.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import { EXIT } from '../../scripts/cli/exit.ts';
import { archiveScript } from '../../scripts/demo/archive-script.ts';
import { evidenceJsonSchema } from '../../scripts/evidence-schema.ts';
import { pageAt, ROOT, schemaPaths, tableKeys } from '../support/documentation.ts';

const reference = (name: string): string => pageAt(`docs/reference/${name}.md`);
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].toSorted();

it('the how-to gives the archive script that the demo runs, and that is tested with it', () => {
  const page = pageAt('docs/how-to/drill-your-own-database.md');
  expect(page).toContain(`\n\`\`\`sh\n${archiveScript('/backups/orders/wal')}\`\`\`\n`);
  expect(page).toContain(`archive_command = '/usr/local/bin/archive-wal "%p" "%f"'`);
});

it('the how-to grants what a backup calls, on each version', () => {
  const code = readFileSync(join(ROOT, 'activities/archive/base-backup.ts'), 'utf8');
  const calls = [...code.matchAll(/major >= 15 \? '(pg_\w+)\(.*' : '(pg_\w+)\(/g)].flatMap(([, now = '', before = '']) => [now, before]);
  expect(calls).toHaveLength(4);
  const granted = [...pageAt('docs/how-to/drill-your-own-database.md').matchAll(/GRANT EXECUTE ON FUNCTION ([^;]*);/g)].map(([, functions]) => functions).join(' ');
  expect(calls.filter((name) => !granted.includes(name))).toEqual([]);
});

describe('the reference', () => {
  it('of the configuration has every key of the schema, and no other', () => {
    const documented = tableKeys(reference('configuration')).filter((key) => !/^[A-Z]/.test(key));
    expect(sorted(documented)).toEqual(sorted(schemaPaths(z.toJSONSchema(configurationSchema, { io: 'input', unrepresentable: 'any' }) as object)));
  });

  it('of the configuration has every variable that the code reads', () => {
    const sources = ['workers', 'scripts'].flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts')).map((name) => readFileSync(join(ROOT, folder, name), 'utf8')));
    const read = sources.flatMap((text) => [...text.matchAll(/(?:env|environment)\['((?:RUNBOOKS|TEMPORAL|XDG)_[A-Z_]+)'\]/g)].map((match) => match[1] ?? ''));
    expect(read).toContain('RUNBOOKS_HOST');
    const documented = tableKeys(reference('configuration'));
    expect(sorted(read).filter((name) => !documented.includes(name))).toEqual([]);
  });

  it('of evidence has every field of the published schema, and no other', () => {
    const paths = schemaPaths(JSON.parse(evidenceJsonSchema()) as object);
    expect(paths).toContain('recovery.rtaSeconds');
    expect(sorted(tableKeys(reference('evidence')))).toEqual(sorted(paths));
  });

  it('of failures has every type, and no other', () => {
    expect(sorted(tableKeys(reference('failure-types')))).toEqual(sorted(FAILURE_TYPES));
  });

  it('of search attributes has every name with its type, and no other', () => {
    const rows = [...reference('search-attributes').matchAll(/^\| `([A-Za-z]+)` \| (\w+) \|/gm)].map((match) => [match[1], match[2]]);
    expect(Object.fromEntries(rows)).toEqual(SEARCH_ATTRIBUTES);
  });

  it('of exit codes has every code with its name, and no other', () => {
    const rows = [...reference('exit-codes').matchAll(/^\| (\d+) \| `(\w+)` \|/gm)].map((match) => [match[2], Number(match[1])]);
    expect(Object.fromEntries(rows)).toEqual(EXIT);
  });

  it('of runs has every field of the input and every message, and no other', () => {
    const page = reference('runs');
    const [, input = '', ...others] = page.split(/^## /m);
    const messages = others.find((section) => section.startsWith('Messages')) ?? '';
    expect(sorted(tableKeys(input))).toEqual(sorted(Object.keys(drTestInputSchema.shape)));
    const listed = (kind: string): string[] => [...messages.matchAll(/^\| ([a-z, ]+) \| `(\w+)` \|/gm)].filter((row) => (row[1] ?? '').includes(kind)).map((row) => row[2] ?? '');
    expect([sorted(listed('signal')), sorted(listed('update')), sorted(listed('query'))]).toEqual([sorted(Object.values(SIGNALS)), sorted(Object.values(UPDATES)), sorted(Object.values(QUERIES))]);
  });
});
