import type { Client } from 'pg';
import type { CatalogObject, DatabaseManifest, Difference, Manifest } from '../../../contracts/manifest.ts';
import { catalogMethod, readDatabaseCatalog, readGlobals } from '../catalog.ts';
import { insufficientPrivilege, sqlState } from '../errors.ts';
import { readableSecrets, secretsCompared } from '../secrets.ts';
import type { CatalogDamage } from './catalog-damage.ts';
import { hiddenKinds, type Lacks } from './catalog-rows.ts';
import { ofSource } from './of-source.ts';
import { compareThreeWay } from './three-way.ts';

export interface DefinitionsOptions {
  copy: Client;
  source: Client | undefined;
  /** Whether the copy lacks rows of the catalog; undefined where the source does not answer. */
  lacksRows: (() => Promise<Lacks>) | undefined;
  manifest: Manifest;
  expected: DatabaseManifest;
  /** `globals`: of what all databases share alone, over connections to another database; `own`: of that nothing. */
  of: 'database' | 'globals' | 'own';
  /** Where what the copy cannot read is put. */
  damage: CatalogDamage;
}

export interface DefinitionsResult { differences: Difference[]; unknown: string[]; unread: string[]; compared: number }

/** Of a catalog that cannot be read. */
const NOTHING: DefinitionsResult = { differences: [], unknown: [], unread: [], compared: 0 };

/** Definitions and privileges of one database, and with the manifest's first one those that all databases share. */
export async function compareDefinitions({ copy, source, lacksRows, manifest, expected, of, damage }: DefinitionsOptions): Promise<DefinitionsResult> {
  const { serverVersionNum } = manifest;
  const isFirst = of !== 'own' && manifest.databases[0] === expected;
  if (manifest.catalogMethod !== catalogMethod) return { differences: [], unknown: ['definitions and privileges, which another version of this program read,'], unread: [], compared: 0 };
  const [ours, theirs] = [await damage.reading(readableSecrets(copy)), source && await ofSource(readableSecrets(source))];
  if (!ours) return NOTHING;
  const both = secretsCompared(expected, ours);
  const secrets = theirs ? secretsCompared({ ...expected, mayRead: both }, theirs) : both;
  const read = async (client: Client) => ({ own: of !== 'globals' ? await readDatabaseCatalog(client, { serverVersionNum, salt: manifest.salt, secrets }) : [], globals: await readGlobals(client, { serverVersionNum, salt: manifest.salt, secrets }) });
  const is = await damage.reading(read(copy)).catch((error: unknown) => {
    if (sqlState(error) !== insufficientPrivilege) throw error;
    return null;
  });
  if (is === undefined) return NOTHING;
  if (is === null) return { differences: [], unknown: [], unread: ['definitions and privileges'], compared: 0 };
  const now = source ? await ofSource(read(source)) : null;
  const own = compareThreeWay(of !== 'globals' ? expected.catalog : [], is.own, now?.own ?? null);
  // The role by which we came in has another password there, by which we came in.
  const { rows: [role] } = await copy.query<{ name: string }>(`SELECT format('%I', current_user) AS name`);
  const others = (objects: readonly CatalogObject[]) => objects.filter(([kind, identity]) => kind !== 'role' || identity !== role?.name);
  const globals = isFirst ? compareThreeWay(others(manifest.globals), others(is.globals), now && others(now.globals)) : { differences: [], unknown: [], changedSince: 0 };
  const found = { differences: [...own.differences, ...globals.differences], unknown: [...own.unknown, ...globals.unknown], unread: [], compared: is.own.length + (isFirst ? is.globals.length : 0) - own.unknown.length - globals.unknown.length };
  if (!source || !lacksRows || found.differences.length + found.unknown.length === 0) return found;
  // What is in the catalog is there by row, and rows tell whether the source has had it otherwise meanwhile.
  const lacks = await lacksRows();
  if (lacks === 'yes') return found;
  const hidden = await hiddenKinds(copy, source);
  const isUntold = (kind: string) => lacks === 'untold' || hidden.has(kind);
  const untold = found.differences.flatMap((difference) => (difference.kind === 'catalog' && isUntold(difference.object) ? [`${difference.object} ${difference.identity}`] : []));
  return { ...found, differences: [], unknown: [...untold, ...found.unknown.filter((name) => lacks === 'untold' || [...hidden].some((kind) => name.startsWith(`${kind} `)))] };
}
