import type { Client } from 'pg';
import type { CatalogObject, DatabaseManifest, Difference, Manifest } from '../../../contracts/manifest.ts';
import { catalogMethod, catalogsOf, readDatabaseCatalog, readGlobals, whatIsUnloaded, type CatalogOptions } from '../catalog.ts';
import { insufficientPrivilege, sqlState } from '../errors.ts';
import { readableSecrets, secretsCompared } from '../secrets.ts';
import type { CatalogDamage } from './catalog-damage.ts';
import { hiddenKinds, type CatalogRows, type Extent } from './catalog-rows.ts';
import { AGAIN, whyUnloaded } from './not-compared.ts';
import { ofSource } from './of-source.ts';
import { definitionsOfOthers } from './other-tables.ts';
import { compareThreeWay, type CatalogDifference, type ThreeWay } from './three-way.ts';

/** What is held against what; `copy` and `source` are read only. */
export interface DefinitionsOptions {
  copy: Client;
  source: Client | undefined;
  /** Whether the copy lacks rows of the catalog; undefined where the source does not answer. */
  catalogRows: ((extent: Extent) => Promise<CatalogRows>) | undefined;
  manifest: Manifest;
  expected: DatabaseManifest;
  /** `globals`: of what all databases share alone, over connections to another database; `own`: of that nothing. */
  of: 'database' | 'globals' | 'own';
  /** Where what the copy cannot read is put. */
  damage: CatalogDamage;
}

/** `open`: what may be damage, though the source has it otherwise by now, and why. */
export interface DefinitionsResult { differences: Difference[]; unknown: string[]; open: { what: string; why: string }[]; unread: string[]; compared: number }

/** Of a catalog that cannot be read. */
const NOTHING: DefinitionsResult = { differences: [], unknown: [], open: [], unread: [], compared: 0 };

/** Definitions and privileges of one database, and with the manifest's first one those that all databases share. */
export async function compareDefinitions({ copy, source, catalogRows, manifest, expected, of, damage }: DefinitionsOptions): Promise<DefinitionsResult> {
  const { serverVersionNum } = manifest;
  const isFirst = of !== 'own' && manifest.databases[0] === expected;
  if (manifest.catalogMethod !== catalogMethod) return { ...NOTHING, unknown: ['definitions and privileges, which another version of this program read,'] };
  const [ours, theirs] = [await damage.reading(readableSecrets(copy)), source && await ofSource(readableSecrets(source))];
  if (!ours) return NOTHING;
  const both = secretsCompared(expected, ours);
  const secrets = theirs ? secretsCompared({ ...expected, mayRead: both }, theirs) : both;
  const unloaded = new Map<string, string>();
  const read = async (client: Client, onUnloaded?: CatalogOptions['onUnloaded']) => {
    const options: CatalogOptions = { serverVersionNum, salt: manifest.salt, secrets, ...(onUnloaded && { onUnloaded }) };
    return { own: of !== 'globals' ? await readDatabaseCatalog(client, options) : [], globals: await readGlobals(client, options) };
  };
  const is = await damage.reading(read(copy, (kind, said) => void unloaded.set(kind, said))).catch((error: unknown) => {
    if (sqlState(error) !== insufficientPrivilege) throw error;
    return null;
  });
  if (is === undefined) return NOTHING;
  if (is === null) return { ...NOTHING, unread: ['definitions and privileges'] };
  const now = source ? await ofSource(read(source)) : null;
  const loaded = (objects: readonly CatalogObject[]) => objects.filter(([kind]) => !unloaded.has(kind));
  const own = compareThreeWay(of !== 'globals' ? loaded(expected.catalog) : [], is.own, now && loaded(now.own));
  // The role by which we came in has another password there, by which we came in.
  const { rows: [role] } = await copy.query<{ name: string }>(`SELECT format('%I', current_user) AS name`);
  const others = (objects: readonly CatalogObject[]) => objects.filter(([kind, identity]) => kind !== 'role' || identity !== role?.name);
  const globals = isFirst ? compareThreeWay(others(manifest.globals), others(is.globals), now && others(now.globals)) : { differences: [], unknown: [], changedSince: 0 };
  const parts = [{ ...own, extent: 'database' as const }, { ...globals, extent: 'shared' as const }];
  const compared = is.own.length + (isFirst ? is.globals.length : 0) - own.unknown.length - globals.unknown.length;
  // Never spread as arguments: there may be more of them than a call takes.
  let result: DefinitionsResult = { differences: [], unknown: [], open: [...unloaded].map(([kind, said]) => ({ what: whatIsUnloaded(kind), why: whyUnloaded(said) })), unread: [], compared };
  for (const part of parts) {
    const judged = source && catalogRows ? await judge(part, { copy, source, catalogRows, expected }) : { differences: part.differences, unknown: part.unknown.map(nameOf), open: [] };
    result = { ...result, differences: [...result.differences, ...judged.differences], unknown: [...result.unknown, ...judged.unknown], open: [...result.open, ...judged.open] };
  }
  return result;
}

/** What is in the catalog is there by row, and rows tell whether the source has had it otherwise meanwhile. */
async function judge({ differences, unknown, extent }: ThreeWay & { extent: Extent }, { copy, source, catalogRows, expected }: { copy: Client; source: Client; catalogRows: (extent: Extent) => Promise<CatalogRows>; expected: DatabaseManifest }): Promise<Pick<DefinitionsResult, 'differences' | 'unknown' | 'open'>> {
  const all = [...differences, ...unknown];
  if (all.length === 0) return NOTHING;
  const { lacks, replaced } = await catalogRows(extent);
  if (lacks === 'yes') return { differences, unknown: unknown.map(nameOf), open: [] };
  const hidden = await hiddenKinds(copy, source);
  const isUntold = ({ object }: CatalogDifference) => lacks === 'untold' || hidden.has(object);
  const told = all.filter((one) => !isUntold(one));
  const isOfAnother = extent === 'database' && told.some(isMissing) ? await definitionsOfOthers(copy, source, expected.tables) : () => false;
  const open = told.flatMap((one) => {
    if (isMissing(one) && isOfAnother(one.identity)) return [];
    // A privilege is part of a row of the catalog, which is there, and so is a missing value.
    if (isMissing(one) && one.object !== 'grant' && one.object !== 'missing value') return [{ what: nameOf(one), why: LOST }];
    return catalogsOf(one.object).some((catalog) => replaced.has(catalog)) ? [] : [{ what: nameOf(one), why: ALTERED }];
  });
  return { differences: [], unknown: all.filter(isUntold).map(nameOf), open };
}

const LOST = `the copy lacks it, and the source has it, but has made or altered it since the instant of the copy: it was dropped by then and made again, or the copy has lost it; ${AGAIN}`;
const ALTERED = `differs from the manifest, and the source has replaced it since the instant of the copy; but nothing in the catalog of the copy tells that it was altered between the manifest and then, so that it may be damaged; ${AGAIN}`;

function isMissing({ change }: CatalogDifference): boolean {
  return change === 'missing';
}

function nameOf({ object, identity }: CatalogDifference): string {
  return `${object} ${identity}`;
}
