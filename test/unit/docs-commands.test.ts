import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REFUSED_START_FLAGS, START_FLAGS } from '../../scripts/cli/start-flags.ts';
import { REFUSED_FLAGS, TEMPORAL_FLAGS } from '../../scripts/cli/temporal-flags.ts';
import { anchorsOf, commandsIn, pageAt, readPages, ROOT, tableKeys, wordsOf } from '../support/documentation.ts';

const pages = readPages();
const program = join(ROOT, 'dist/scripts/cli/main.js');

/** What the CLI's own help says: options of each command. */
const helpOf = (...command: string[]): string => execFileSync(process.execPath, [program, ...command, '--help'], { encoding: 'utf8' });
const commands = [...helpOf().matchAll(/^ {2}([a-z]+) \[options\]/gm)].map((match) => match[1] ?? '');
const options = new Map(commands.map((command) => [command, optionsIn(helpOf(command))]));

function optionsIn(help: string): string[] {
  return [...help.matchAll(/^ {2}(-.*?)(?: {2,}|$)/gm)].flatMap((match) => [...(match[1] ?? '').matchAll(/--?[a-z][a-z-]*/g)].map(([option]) => option));
}

const printed = pages.flatMap((page) => commandsIn(page).map((command) => ({ page: page.path, command })));

/** Commands of the CLI, spelled as `runbook …`, `npx runbook …` or `temporal runbook …`. */
const ours = printed.flatMap(({ page, command }) => {
  const words = wordsOf(command);
  const at = ['temporal', 'npx'].includes(words[0] ?? '') && words[1] === 'runbook' ? 2 : words[0] === 'runbook' ? 1 : -1;
  return at === -1 || words[at] === undefined || words[at].startsWith('<') ? [] : [{ page, command, name: words[at], rest: words.slice(at + 1) }];
});

function problemOf({ name, rest }: { name: string; rest: string[] }): string | null {
  const known = options.get(name);
  if (!known) return `there is no command "${name}"`;
  const unknown = rest.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.split('=')[0] ?? '').filter((option) => !known.includes(option));
  return unknown.length > 0 ? `"${name}" has no ${unknown.join(', ')}` : null;
}

describe('what the documentation prints', () => {
  it('is looked at: there are commands of ours, npm scripts and links', () => {
    expect(commands.length).toBeGreaterThan(10);
    expect(ours.length).toBeGreaterThan(30);
    expect(problemOf({ name: 'fly', rest: [] })).toMatch(/no command/);
    expect(problemOf({ name: 'start', rest: ['dr-test', '--wait', '--speed=9'] })).toMatch(/has no --speed/);
  });

  it('has only commands and options that the CLI has', () => {
    expect(ours.flatMap((command) => { const problem = problemOf(command); return problem === null ? [] : [`${command.page}: ${command.command}: ${problem}`]; })).toEqual([]);
  });

  it('has only npm scripts that exist, and only options that they take', () => {
    const { scripts } = JSON.parse(pageAt('package.json')) as { scripts: Record<string, string> };
    const demo = readFileSync(join(ROOT, 'scripts/demo/main.ts'), 'utf8');
    const wrong = printed.flatMap(({ page, command }) => {
      const [npm, ...words] = wordsOf(command);
      if (npm !== 'npm') return [];
      const script = words[0] === 'run' ? words[1] ?? '' : words[0] ?? '';
      if (!(script in scripts) && !['ci', 'install', 'link', 'unlink'].includes(script)) return [`${page}: ${command}: no script "${script}"`];
      const unknown = script === 'demo' ? words.filter((word) => word.startsWith('--') && word !== '--').filter((option) => !demo.includes(`${option.slice(2)}: { type:`)) : [];
      return unknown.map((option) => `${page}: ${command}: the demo has no ${option}`);
    });
    expect(wrong).toEqual([]);
  });

  it('links to files and headings that are there', () => {
    const broken = pages.flatMap(({ path, text }) => [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? join(ROOT, path) : join(ROOT, dirname(path), file);
      if (!existsSync(target)) return [`${path}: ${link}: there is no such file`];
      return anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).includes(anchor) ? [`${path}: ${link}: there is no such heading`] : [];
    }));
    expect(broken).toEqual([]);
  });

  it('is reached from the table of contents', () => {
    const contents = pageAt('docs/README.md');
    const unreached = pages.map(({ path }) => path).filter((path) => path.startsWith('docs/') && path !== 'docs/README.md' && !contents.includes(`(${path.slice('docs/'.length)})`));
    expect(unreached).toEqual([]);
  });
});

describe('the reference of the CLI', () => {
  const reference = pageAt('docs/reference/cli.md');
  const sections = new Map<string, string[]>();
  for (const section of reference.split(/^### /m).slice(1)) {
    const [heading = '', ...rest] = section.split('\n');
    for (const [, name = ''] of heading.matchAll(/`runbook ([a-z]+)/g)) sections.set(name, tableKeys(rest.join('\n')));
  }
  const common = tableKeys(reference.split(/^### /m)[0] ?? '');
  const long = (names: readonly string[]): string[] => names.flatMap((name) => [...name.matchAll(/--[a-z][a-z0-9-]*/g)].map(([option]) => option)).toSorted();

  it('names every flag of Temporal\'s own, and beside which of them are refused', () => {
    const tables = [...reference.matchAll(/(?:^\|.*\n)+/gm)].map(([table]) => ({ isOfRefused: table.startsWith('| flag | why |'), names: long(tableKeys(table)).map((option) => option.slice(2)) }));
    const named = (isOfRefused: boolean) => tables.filter((table) => table.isOfRefused === isOfRefused).flatMap(({ names }) => names);
    const refused = [...Object.keys(REFUSED_FLAGS), ...Object.keys(REFUSED_START_FLAGS)];
    expect(named(true).toSorted()).toEqual(refused.toSorted());
    expect([...TEMPORAL_FLAGS, ...START_FLAGS].map(({ name }) => name).filter((name) => !refused.includes(name) && !named(false).includes(name))).toEqual([]);
  });

  it('has every command, and no other', () => {
    expect([...sections.keys()].toSorted()).toEqual(commands.filter((command) => command !== 'help').toSorted());
  });

  it.each(commands.filter((command) => command !== 'help'))('has every option of %s, and no other', (command) => {
    const shared = long(common);
    expect(long(sections.get(command) ?? [])).toEqual(long(options.get(command) ?? []).filter((option) => !shared.includes(option)));
  });
});
