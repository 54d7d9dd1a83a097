import { afterAll, beforeAll, expect, it } from 'vitest';
import { hashTree } from '../support/canaries.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { type MeasuredSource, startMeasuredSource } from '../support/measured-source.ts';
import { withClient } from '../support/user-clients.ts';

let source: MeasuredSource;
beforeAll(async () => {
  source = await startMeasuredSource();
  await source.run(`SELECT pg_create_physical_replication_slot('somebodys', true)`);
  await takeBackup(source);
  await source.commit(3);
  await source.archive();
});
afterAll(() => source.stop());

/** Everything of production that a drill could change: files, slots, settings, and each row of each catalog. */
async function lookAtProduction() {
  const { config, archiveDirectory, tablespaceDirectory } = source.production;
  const inEach = ['shop', 'postgres', 'template1'].map((database) => withClient({ ...config, database }, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' ORDER BY 1`);
    const catalogs: Record<string, string> = {};
    for (const { name } of rows) {
      const { rows: [row] } = await client.query<{ sum: string }>(`SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) AS sum FROM ${name} t`);
      catalogs[name] = row?.sum ?? '';
    }
    return { database, catalogs };
  }));
  return {
    archive: hashTree(archiveDirectory), backups: hashTree(source.repository), tablespace: hashTree(tablespaceDirectory),
    catalogs: await Promise.all(inEach),
    ...await withClient(config, async (client) => ({
      slots: (await client.query('SELECT slot_name, slot_type, active, restart_lsn, confirmed_flush_lsn, xmin FROM pg_replication_slots ORDER BY 1')).rows,
      settings: (await client.query('SELECT name, setting, sourcefile FROM pg_file_settings UNION ALL SELECT name, reset_val, source FROM pg_settings ORDER BY 1, 2, 3')).rows,
      databases: (await client.query('SELECT datname, datfrozenxid, datacl::text FROM pg_database ORDER BY 1')).rows,
      sessions: (await client.query(`SELECT application_name, backend_type FROM pg_stat_activity WHERE pid <> pg_backend_pid() ORDER BY 2, 1`)).rows,
      prepared: (await client.query('SELECT gid FROM pg_prepared_xacts')).rows,
      commits: (await client.query('SELECT pg_current_wal_insert_lsn()::text AS written, txid_snapshot_xmax(txid_current_snapshot())::text AS next')).rows.map((row) => (row as { next: string }).next),
    })),
  };
}

it('a whole drill leaves the archive, the backups, and the source with its slots, settings, catalogs and sessions as they were', async () => {
  const before = await lookAtProduction();
  expect(Object.keys(before.archive).length).toBeGreaterThan(1);
  expect(before.catalogs[0]?.catalogs['pg_proc']).toMatch(/^\d{4,} -?\d+$/);
  const { evidence } = await runDrill(source);
  expect(evidence.verdict.restore).toBe('sound');
  expect(await lookAtProduction()).toEqual(before);
  // And it would have been noticed.
  await source.run(`COMMENT ON TABLE marks IS 'touched'`);
  expect((await lookAtProduction()).catalogs).not.toEqual(before.catalogs);
});
