import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, without a slash at its end. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** A page for people: its path from the root, and its text. */
export interface Page { path: string; text: string }

/** Every page of the documentation. */
export function readPages(): Page[] {
  const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md')).map((name) => join('docs', name));
  return ['README.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md', 'CHANGELOG.md', ...inDocs].map((path) => ({ path: relative('.', path), text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** A page's text; `path` from the root. Throws where it is not there. */
export function pageAt(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Every command line that a page prints: lines of shell blocks, and inline code. Comments and prompts are taken off, pipelines are cut apart. */
export function commandsIn({ text }: Page): string[] {
  const blocks = [...text.matchAll(/^```(?:sh|bash|console)\n(.*?)^```/gms)].flatMap((match) => (match[1] ?? '').replaceAll('\\\n', ' ').split('\n'));
  const inline = [...text.replaceAll(/^```.*?^```/gms, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '');
  return [...blocks, ...inline]
    .map((line) => line.replace(/^\$ /, '').replace(/\s+#.*$/, '').trim())
    .flatMap((line) => line.split(/\s+(?:\|\|?|&&|;)\s+/))
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Splits a command as a shell does, as far as documentation needs it. */
export function wordsOf(command: string): string[] {
  return [...command.matchAll(/'[^']*'|"[^"]*"|\S+/g)].map(([word]) => word.replace(/^(['"])(.*)\1$/, '$2'));
}

/** Names in the first column of a page's tables, such as keys of the configuration. */
export function tableKeys(text: string): string[] {
  return [...text.matchAll(/^\| ((?:`[^`]+`(?:, )?)+) \|/gm)].flatMap((match) => [...(match[1] ?? '').matchAll(/`([^`]+)`/g)].map((key) => key[1] ?? ''));
}

interface Schema { properties?: Record<string, Schema>; additionalProperties?: Schema | boolean; items?: Schema; anyOf?: Schema[]; oneOf?: Schema[] }

/** Paths of all values of a JSON schema: `a.b`, `a.<name>.b` below a map, `a[].b` below a list. */
export function schemaPaths(schema: Schema, path = ''): string[] {
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const inner = [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, value]) => schemaPaths(value, at(name))),
    ...(typeof schema.additionalProperties === 'object' ? schemaPaths(schema.additionalProperties, at('<name>')) : []),
    ...(schema.items ? schemaPaths(schema.items, `${path}[]`) : []),
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].filter((branch) => branch.properties ?? branch.items).flatMap((branch) => schemaPaths(branch, path)),
  ];
  return inner.length > 0 ? [...new Set(inner)] : [path];
}

/** The anchor that Markdown renderers make of a heading. */
export function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#{1,6} (.+)$/gm)].map((match) => (match[1] ?? '').toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').trim().replaceAll(' ', '-'));
}
