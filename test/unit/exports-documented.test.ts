import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const HOUSE = ['contracts', 'workflows', 'activities', 'workers', 'scripts'];
const filesOf = (directory: string) => readdirSync(new URL(directory, root), { recursive: true, encoding: 'utf8' }).filter((name) => /\.m?[jt]s$/.test(name)).map((name) => `${directory}/${name}`);

/** What a module exports of its own: what it hands on from another one is documented there. A list of names has no place for JSDoc. */
const EXPORTED = /^export (?!(?:type )?(?:\*|\{[^}]*\} from )).*/gm;

/** The lines by which a module exports something without JSDoc right above, on lines of its own, that says a word. */
function undocumented(source: string): string[] {
  const text = `\n${source}`;
  return [...text.matchAll(EXPORTED)].filter(({ index }) => {
    const before = text.slice(0, index);
    const begin = before.lastIndexOf('\n/**');
    const end = before.indexOf('*/', begin);
    return begin === -1 || end !== before.length - 3 || !/\p{L}/u.test(before.slice(begin, end));
  }).map(([line]) => line.slice(0, 80));
}

test('whatever is exported says what it promises', () => {
  const files = HOUSE.flatMap(filesOf);
  expect(files).not.toEqual([]);
  // Its units, the errors that it throws, where a rule or a number comes from: what its name does not say.
  expect(files.flatMap((path) => undocumented(readFileSync(new URL(path, root), 'utf8')).map((line) => `${path}: ${line}`))).toEqual([]);
});

test('that check sees what it is there for', () => {
  const said = '/** In seconds. */\n';
  const declarations = ['export const a = 1;', 'export let a;', 'export function a() {', 'export async function* a() {', 'export class A {', 'export abstract class A {', 'export interface A { b: string }', 'export type A = string;', 'export enum A {', 'export default a;', 'export const { a, b } = c;', 'export { a, b as c };', 'export type { A };'];
  expect(declarations.filter((line) => undocumented(line).length === 0)).toEqual([]);
  expect(declarations.filter((line) => undocumented(`${said}${line}`).length > 0)).toEqual([]);
  const notAbove = ['// In seconds.\n', '/* In seconds. */\n', '/** */\n', `${said}\n`, `${said}const b = 1;\n`, `${said}// And more.\n`, 'const b = 1; /** In seconds. */\n', `${said}export const b = 1; /* of b */\n`];
  expect(notAbove.filter((before) => undocumented(`${before}export const a = 1;`).length === 0)).toEqual([]);
  const fine = [`/**\n * A glob: docs/**\n * and /* too.\n */\nexport const a = 1;`, `const b = 1;\n${said}export const a = 1;`, `export { a } from './a.ts';`, `export {\n  a,\n  b,\n} from './a.ts';`, `export type { A } from './a.ts';`, `export * from './a.ts';`, `export type * from './a.ts';`, '  export const inside = 1;'];
  expect(fine.filter((text) => undocumented(text).length > 0)).toEqual([]);
});
