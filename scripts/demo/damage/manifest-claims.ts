import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestSchema, type CatalogObject, type DatabaseManifest, type Manifest } from '../../../contracts/manifest.ts';
import { formatLsn, parseLsn } from '../../../activities/postgres/lsn.ts';
import { forgeManifest } from './published-files.ts';

/**
 * What a restored copy lacks though all of its files are right: the source, as its manifest says it was, had something
 * that is not in the copy. The manifest's hash is forged to fit, so that only comparing can notice.
 */
export const claimKinds = ['roleMissing', 'grantMissing', 'policyMissing', 'triggerMissing', 'indexMissing', 'extensionMissing', 'sequenceBehind', 'stoppedEarly'] as const;
/** One of {@link claimKinds}. */
export type ClaimKind = (typeof claimKinds)[number];

interface Claim { description: string; expectedNames: string[] }

/** What the demo's source might have had, as a manifest names it. */
const OBJECTS: Readonly<Record<Exclude<ClaimKind, 'sequenceBehind' | 'stoppedEarly'>, [kind: string, identity: string]>> = {
  roleMissing: ['role', 'night_shift'],
  grantMissing: ['grant', 'on relation sales.customer to night_shift'],
  policyMissing: ['policy', 'own_region_only on sales.customer'],
  triggerMissing: ['trigger', 'keep_history on sales.customer'],
  indexMissing: ['index', 'sales.customer_by_name'],
  extensionMissing: ['extension', 'tablefunc 1.0'],
};

/** Further than any archive of the demo reaches: 1 TB on. */
const BEYOND = 1n << 40n;

/** Makes the manifest of a published backup say that the source had, or was at, what the backup cannot restore. */
export async function claimMore(backup: string, kind: ClaimKind): Promise<Claim> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(backup, 'manifest.json'), 'utf8')));
  const database = manifest.databases.find(({ tables }) => tables.some(({ schema }) => schema === 'sales'));
  if (!database) throw new Error(`the manifest in ${backup} is none of the demo's database`);
  const claim = change(manifest, database, kind);
  await forgeManifest(backup, JSON.stringify(manifest));
  return claim;
}

function change(manifest: Manifest, database: DatabaseManifest, kind: ClaimKind): Claim {
  if (kind === 'stoppedEarly') {
    const before = database.lsn;
    database.lsn = formatLsn(parseLsn(before) + BEYOND);
    return { description: `the archive ends before the position of the manifest, ${database.lsn} instead of ${before}`, expectedNames: [database.lsn] };
  }
  if (kind === 'sequenceBehind') {
    const sequence = database.sequences.find(({ nextAtLeast, ascending, cycles }) => nextAtLeast !== null && ascending && !cycles);
    if (!sequence) throw new Error('the manifest holds no position of a sequence');
    sequence.nextAtLeast = String(BigInt(sequence.nextAtLeast ?? 0) + 1_000_000_000n);
    const name = `${sequence.schema}.${sequence.name}`;
    return { description: `sequence ${name} of the copy is a billion behind the one of the source`, expectedNames: [`sequence ${name}`] };
  }
  const [object, identity] = OBJECTS[kind];
  const missing: CatalogObject = [object, identity, '0'.repeat(64)];
  (object === 'role' ? manifest.globals : database.catalog).push(missing);
  return { description: `${object} ${identity} of the source is not in the copy`, expectedNames: [`${object} ${identity}`] };
}
