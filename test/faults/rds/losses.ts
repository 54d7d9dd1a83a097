import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DBInstance } from '@aws-sdk/client-rds';
import { evidenceSchema } from '../../../contracts/evidence.ts';
import { withMaster } from '../../support/aws-lab-rds.ts';
import type { DrillRun } from '../drill-run.ts';

/** Has the source commit what RDS, which archives nothing any more, will never have. */
export async function loseSome(source: DBInstance): Promise<void> {
  for (const id of [1_000_001, 1_000_002, 1_000_003]) await withMaster(source, (client) => client.query(`INSERT INTO orders VALUES ($1, 1, 'lost')`, [id]));
}

/** More than a copy uses while it is drilled. */
const GAP = 500;

/**
 * Moves what will be lost to numbers of transactions that no copy comes to use itself. Of one without times of commits nobody could
 * tell them apart there, and the drill would rightly not be proven.
 */
export async function loseBeyondCopies(source: DBInstance): Promise<void> {
  await withMaster(source, async (client) => {
    for (let next = 0; next < GAP; next += 1) await client.query('BEGIN; SELECT pg_current_xact_id(); ROLLBACK');
    await client.query('UPDATE orders SET total = 2 WHERE id > 1000000');
  });
}

/** Commits until the instant that was restored and from then until the declaration, by the source itself. */
const TRUTH = `SELECT count(*) FILTER (WHERE at > $1 AND at <= $2)::int AS transactions, extract(epoch FROM max(at) FILTER (WHERE at <= $2) - max(at) FILTER (WHERE at <= $1))::float8 AS seconds
  FROM (SELECT pg_xact_commit_timestamp(x::text::xid) AS at FROM generate_series(3, pg_snapshot_xmax(pg_current_snapshot())::text::int8 - 1) AS x) AS stamped`;

/** What is wrong with what evidence says was lost: exactly what the source says, or, where that cannot be counted, at least as long. */
export async function lossProblems(evidenceDirectory: string, run: DrillRun, source: DBInstance): Promise<string[]> {
  const [name] = (await readdir(evidenceDirectory)).filter((file) => file.startsWith(run.owner.workflowId.replaceAll('/', '_')) && file.endsWith('.json'));
  const record = name === undefined ? undefined : evidenceSchema.parse(JSON.parse(await readFile(join(evidenceDirectory, name), 'utf8')));
  if (!record?.recovery) return [];
  const { recovery: { lostTransactions, rpaSeconds, rpaMethod, recoveryPoint }, startedAt } = record;
  const { rows: [truth = { transactions: 0, seconds: 0 }] } = await withMaster(source, (client) => client.query<{ transactions: number; seconds: number }>(TRUTH, [recoveryPoint.takenAt, startedAt]));
  const isRight = lostTransactions === null ? (rpaSeconds ?? 0) >= truth.seconds : lostTransactions === truth.transactions && truth.transactions > 0 && Math.abs((rpaSeconds ?? -1) - truth.seconds) < 0.01;
  return isRight ? [] : [`evidence says that ${lostTransactions} transactions were lost in ${rpaSeconds} s (${rpaMethod}), and the source says ${truth.transactions} in ${truth.seconds} s`];
}
