import type { CatalogObject, Difference } from '../../../contracts/manifest.ts';

/** An object of the catalog that is missing, unexpected or defined otherwise. */
export type CatalogDifference = Extract<Difference, { kind: 'catalog' }>;

/** `unknown`: what is neither as it was nor as it is at the source, where that changed it as well, or does not say. What is missing in one of these the source has. */
export interface ThreeWay { differences: CatalogDifference[]; unknown: CatalogDifference[]; changedSince: number }

/**
 * Holds definitions of a copy against those of its manifest, and where they differ against those that the source has now: what
 * people changed between the two is in a copy as one of them has it. What differs from both, where these are the same, is damage,
 * or was changed and changed back: `lacksCatalogRows` tells them apart.
 * @param source null where it does not answer
 */
export function compareThreeWay(manifest: readonly CatalogObject[], copy: readonly CatalogObject[], source: readonly CatalogObject[] | null): ThreeWay {
  const [before, found, now] = [byKey(manifest), byKey(copy), source && byKey(source)];
  const result: ThreeWay = { differences: [], unknown: [], changedSince: 0 };
  for (const [key, [object, identity]] of new Map([...keys(manifest), ...keys(copy)])) {
    const [was, is] = [before.get(key), found.get(key)];
    if (is === was) continue;
    if (now && now.get(key) === is) { result.changedSince += 1; continue; }
    const change = is === undefined ? 'missing' : was === undefined ? 'unexpected' : 'changed';
    const isAsBefore = now !== null && now.get(key) === was;
    (isAsBefore ? result.differences : result.unknown).push({ kind: 'catalog', object, identity, change });
  }
  return result;
}

function keyOf([kind, identity]: CatalogObject): string {
  return JSON.stringify([kind, identity]);
}

function byKey(objects: readonly CatalogObject[]): Map<string, string> {
  return new Map(objects.map((object) => [keyOf(object), object[2]]));
}

function keys(objects: readonly CatalogObject[]): [string, [string, string]][] {
  return objects.map((object) => [keyOf(object), [object[0], object[1]]]);
}
