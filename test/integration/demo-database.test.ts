import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { loadShop } from '../../scripts/demo/load.ts';
import { startProduction, type Production } from '../../scripts/demo/production.ts';
import { startWriters, writerKindNames } from '../../scripts/demo/writers.ts';
import { PATIENT } from '../support/patience.ts';

const anchor = new Date('2026-06-01T00:00:00Z');
let root: string;
let production: Production;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'demo-database-'));
  production = await startProduction({ root, binaries: await findPostgres({ major: 18 }), log: () => {} });
  await loadShop({ config: production.config, tablespaceDirectory: production.tablespaceDirectory, scale: 0.02, anchor });
});

afterAll(async () => {
  await production?.stop();
  await production?.stop(); // can be called twice
  await rm(root, { recursive: true, force: true });
});

/** One query on a connection of its own. */
async function ask<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
  const client = new Client(production.config);
  await client.connect();
  return await client.query<Row>(sql, values).then((result) => result.rows).finally(() => client.end());
}

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const until = performance.now() + PATIENT.timeout;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > until) throw new Error('it did not happen');
    await new Promise((done) => setTimeout(done, 50));
  }
}

const rowHashes = async () => await ask(
  `SELECT 'line' AS t, sum(hashtextextended(t::text, 0))::text AS h FROM sales.order_line t
   UNION ALL SELECT 'order', sum(hashtextextended(t::text, 0))::text FROM sales."order" t
   UNION ALL SELECT 'customer', sum(hashtextextended(t::text, 0))::text FROM sales.customer t
   UNION ALL SELECT 'product', sum(hashtextextended(t::text, 0))::text FROM sales.product t
   UNION ALL SELECT 'shipment', sum(hashtextextended(t::text, 0))::text FROM history.shipment t ORDER BY 1`);

test('the shop has one of everything that a restore must bring back', async () => {
  const count = async (sql: string) => Number((await ask<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`))[0]?.n);
  expect(await count(`pg_inherits WHERE inhparent = 'sales."order"'::regclass`)).toBe(16);
  expect(await count(`pg_class WHERE relkind = 'm'`)).toBeGreaterThanOrEqual(2);
  expect(await count(`pg_class WHERE relkind = 'v' AND relnamespace = 'sales'::regnamespace`)).toBeGreaterThanOrEqual(2);
  expect(await count(`pg_class WHERE relpersistence = 'u' AND relkind = 'r'`)).toBe(1);
  expect(await count(`pg_class WHERE relkind = 'r' AND reltablespace = (SELECT oid FROM pg_tablespace WHERE spcname = 'shop_archive')`)).toBe(1);
  expect(await count(`pg_policy`)).toBe(3);
  expect(await count(`pg_trigger WHERE NOT tgisinternal`)).toBeGreaterThanOrEqual(2);
  expect(await count(`pg_attribute WHERE attgenerated = 's' AND attrelid >= 16384`)).toBeGreaterThanOrEqual(3);
  expect(await count(`pg_collation WHERE NOT collisdeterministic`)).toBeGreaterThanOrEqual(1);
  expect(await count(`pg_extension`)).toBeGreaterThanOrEqual(5);
  expect(await count(`pg_largeobject_metadata`)).toBe(120);
  expect(await count(`"Back Office"."Größe & Farbe"`)).toBe(500);
  expect(await count(`sales."order" WHERE total <> sales.order_total(id, placed_at)`)).toBe(0);
});

test('its columns are of every kind of type', async () => {
  const columns = await ask<{ type: string }>(
    `SELECT DISTINCT format_type(atttypid, NULL) AS type FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
      WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p') AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('sales', 'ops', 'history', 'Back Office'))`);
  expect(columns.map(({ type }) => type)).toEqual(expect.arrayContaining([
    'text', 'numeric', 'real', 'double precision', 'jsonb', 'timestamp with time zone', 'uuid', 'bytea', 'text[]', 'integer[]', 'int4range[]',
    'tstzrange', 'daterange', 'ops.temperature', 'sales.tier', 'sales.order_status', 'sales.sku', 'ops.geo_point',
  ]));
  const [made] = await ask(
    `SELECT array_agg(typname::text ORDER BY typname) FILTER (WHERE typtype = 'e') AS enums, array_agg(typname::text) FILTER (WHERE typtype = 'r') AS ranges,
        (SELECT count(*)::int FROM pg_enum) AS labels, count(*) FILTER (WHERE typtype = 'd')::int AS domains
      FROM pg_type WHERE typnamespace IN ('sales'::regnamespace, 'ops'::regnamespace)`);
  expect(made).toEqual({ enums: ['order_status', 'tier'], ranges: ['temperature'], labels: 10, domains: 2 });
  // Of a type that no row has a value of, a restore brings back nothing.
  const [filled] = await ask(
    `SELECT (SELECT count(DISTINCT tier)::int FROM sales.customer) AS tiers, (SELECT count(DISTINCT status) > 1 FROM sales."order") AS statuses,
        (SELECT bool_and(octet_length(thumbnail) > 0) FROM sales.product) AS bytea, (SELECT count(DISTINCT ref) = count(*) FROM sales.customer) AS uuids,
        (SELECT bool_or(NOT isempty(member_during)) FROM sales.customer) AS ranges, (SELECT bool_or(cardinality(open_hours) > 0) FROM ops.warehouse) AS "ranges in lists",
        (SELECT bool_or(cardinality(tags) > 0) FROM sales.customer) AS lists, (SELECT bool_or(address <> '{}') FROM sales.customer) AS jsonb`);
  expect(filled).toEqual({ tiers: 4, statuses: true, bytea: true, uuids: true, ranges: true, 'ranges in lists': true, lists: true, jsonb: true });
});

test('its rows hang together: by foreign keys, sequences, identity and functions', async () => {
  const keys = await ask<{ key: string }>(`SELECT format('%s: %s -> %s', conname, conrelid::regclass, confrelid::regclass) AS key FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 ORDER BY 1`);
  expect(keys.map(({ key }) => key)).toEqual([
    'line_order_fk: sales.order_line -> sales."order"', 'line_product_fk: sales.order_line -> sales.product', 'order_customer_fk: sales."order" -> sales.customer',
  ]);
  const [made] = await ask(
    `SELECT (SELECT array_agg(DISTINCT attidentity::text ORDER BY attidentity::text) FROM pg_attribute WHERE attidentity <> '' AND attrelid >= 16384) AS identity,
        (SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_class c WHERE relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'i')) AS sequences,
        (SELECT array_agg(prokind::text ORDER BY prokind::text) FROM (SELECT DISTINCT prokind FROM pg_proc WHERE pronamespace IN ('sales'::regnamespace, 'ops'::regnamespace)) k) AS "kinds of function"`);
  expect(made).toEqual({ identity: ['a', 'd'], sequences: ['audit_id_seq', 'order_id', 'staging_id_seq'], 'kinds of function': ['a', 'f', 'p'] });
});

test('what each role may do there is told by memberships, grants and defaults', async () => {
  const roles = await ask<{ role: string }>(`SELECT rolname AS role FROM pg_roles WHERE rolname ILIKE 'shop%' ORDER BY 1`);
  expect(roles.map(({ role }) => role)).toEqual(['Shop Manager', 'shop_app', 'shop_auditor', 'shop_owner', 'shop_reader']);
  const members = await ask(`SELECT roleid::regrole::text AS role, member::regrole::text AS member, admin_option AS admin FROM pg_auth_members WHERE roleid::regrole::text LIKE 'shop%' ORDER BY 1, 2`);
  expect(members).toEqual([
    { role: 'shop_owner', member: '"Shop Manager"', admin: false }, { role: 'shop_reader', member: 'shop_auditor', admin: false }, { role: 'shop_reader', member: 'shop_owner', admin: true },
  ]);
  const [may] = await ask(
    `SELECT has_table_privilege('shop_app', 'sales."order"', 'UPDATE') AS "app writes", has_table_privilege('shop_app', 'ops.audit', 'SELECT') AS "app reads audit",
        has_sequence_privilege('shop_app', 'sales.order_id', 'USAGE') AS "app draws ids", has_column_privilege('shop_app', 'ops.heartbeat', 'at', 'UPDATE') AS "app beats", has_column_privilege('shop_app', 'ops.heartbeat', 'id', 'UPDATE') AS "app renames",
        has_column_privilege('shop_auditor', 'sales.customer', 'name', 'SELECT WITH GRANT OPTION') AS "auditor hands on", has_function_privilege('shop_app', 'ops.record_status()', 'EXECUTE') AS "app records",
        (SELECT tableowner::text FROM pg_tables WHERE tablename = 'product') AS "owner of products", (SELECT count(*)::int FROM pg_default_acl) AS defaults, (SELECT count(*)::int FROM pg_db_role_setting WHERE setrole <> 0) AS settings`);
  expect(may).toEqual({
    'app writes': true, 'app reads audit': false, 'app draws ids': true, 'app beats': true, 'app renames': false, 'auditor hands on': true, 'app records': false, 'owner of products': 'shop_owner', defaults: 1, settings: 1,
  });
  const policies = await ask(`SELECT policyname::text AS policy, permissive = 'RESTRICTIVE' AS restricts, cmd FROM pg_policies ORDER BY 1`);
  expect(policies).toEqual([{ policy: 'may_add', restricts: true, cmd: 'INSERT' }, { policy: 'own_region', restricts: false, cmd: 'SELECT' }, { policy: 'reads_all', restricts: false, cmd: 'SELECT' }]);
});

test('it lies in several schemas, under names that have to be quoted, and in a tablespace outside of the data directory', async () => {
  const schemas = await ask<{ name: string }>(`SELECT nspname AS name FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_' ORDER BY 1`);
  expect(schemas.map(({ name }) => name)).toEqual(['Back Office', 'history', 'ops', 'sales']);
  const [quoted] = await ask<{ names: string[] }>(`SELECT array_agg(attname::text ORDER BY attnum) AS names FROM pg_attribute WHERE attrelid = '"Back Office"."Größe & Farbe"'::regclass AND attnum > 0`);
  expect(quoted?.names).toEqual(['Artikel Nr', 'Größe', 'Farbe "Ton"', '名前']);
  const [space] = await ask<{ location: string }>(`SELECT pg_tablespace_location(oid) AS location FROM pg_tablespace WHERE spcname = 'shop_archive'`);
  expect(space?.location).toBe(production.tablespaceDirectory);
  expect(relative(production.dataDirectory, space?.location ?? '')).toMatch(/^\.\.\//);
  expect(await readdir(production.tablespaceDirectory)).not.toEqual([]);
});

test('the same seed makes the same rows', async () => {
  const before = await rowHashes();
  const second = await mkdtemp(join(tmpdir(), 'demo-database-'));
  const twin = await startProduction({ root: second, binaries: await findPostgres({ major: 18 }), log: () => {} });
  const first = production;
  try {
    await loadShop({ config: twin.config, tablespaceDirectory: twin.tablespaceDirectory, scale: 0.02, anchor });
    production = twin;
    expect(await rowHashes()).toEqual(before);
  } finally {
    production = first;
    await twin.stop();
    await rm(second, { recursive: true, force: true });
  }
});

test('TCP asks for the password, and the socket is private', async () => {
  const tcp = { host: '127.0.0.1', port: production.port, user: production.superuser.user, database: production.database };
  await expect(new Client({ ...tcp, password: 'wrong' }).connect()).rejects.toMatchObject({ code: '28P01' });
  const client = new Client({ ...tcp, password: production.superuser.password });
  await client.connect();
  await client.end();
  expect((await stat(production.socketDirectory)).mode & 0o777).toBe(0o700);
  const [settings] = await ask(`SELECT current_setting('data_checksums') c, current_setting('wal_level') w, current_setting('archive_mode') a,
    current_setting('max_prepared_transactions') p, current_setting('track_commit_timestamp') t`);
  expect(settings).toEqual({ c: 'on', w: 'logical', a: 'on', p: '20', t: 'off' });
});

test('the archive gets whole segments only, and never overwrites one with other bytes', async () => {
  const archive = production.archiveDirectory;
  // Where nothing was written since the last switch, there is none.
  await ask(`SELECT pg_logical_emit_message(true, 'test', 'something to archive')`);
  const [switched] = await ask<{ name: string }>(`SELECT pg_walfile_name(pg_switch_wal()) AS name`);
  const name = switched?.name ?? '';
  await eventually(async () => (existsSync(join(archive, name)) ? true : undefined));
  expect((await stat(join(archive, name))).size).toBe(16 * 1024 * 1024);
  const script = join(production.dataDirectory, '../archive-wal');
  const source = join(root, "a segment's source");
  await writeFile(source, await readFile(join(archive, name)));
  execFileSync('/bin/sh', [script, source, name]); // the same again counts as archived
  await writeFile(source, 'other bytes');
  expect(() => execFileSync('/bin/sh', [script, source, name], { stdio: 'pipe' })).toThrow(/exists with other bytes/);
  expect((await stat(join(archive, name))).size).toBe(16 * 1024 * 1024);
  await eventually(async () => ((await readdir(archive)).some((file) => file.includes('.partial.')) ? undefined : true));
});

test('writers do at least five of every kind, keep the totals right, and leave nothing prepared', async () => {
  let error: Error | undefined;
  const writers = await startWriters({ config: production.config, count: 6, seed: 7, inProcess: true, onError: (failed) => void (error = failed) });
  await eventually(async () => (error || writerKindNames.every((name) => (writers.counts().done[name] ?? 0) >= 5) ? true : undefined));
  const counts = await writers.stop();
  expect(error).toBeUndefined();
  expect(Object.keys(counts.done).sort()).toEqual([...writerKindNames].sort());
  expect(await ask(`SELECT FROM pg_prepared_xacts`)).toEqual([]);
  expect(await ask(`SELECT id FROM sales."order" WHERE total <> sales.order_total(id, placed_at)`)).toEqual([]);
  expect(await ask(`SELECT relname FROM pg_class WHERE relname LIKE 'Scratch%'`)).toEqual([]);
  expect(await ask(`SELECT FROM pg_stat_activity WHERE application_name = 'shop-writer'`)).toEqual([]);
});

test('writers keep to the kinds and the rate they were given', async () => {
  const writers = await startWriters({
    config: production.config, count: 3, seed: 1, kinds: ['heartbeat', 'stage'], opsPerSecond: 60, inProcess: true, onError: () => {},
  });
  await new Promise((done) => setTimeout(done, 2000));
  const counts = await writers.stop();
  expect(Object.keys(counts.done)).toEqual(['heartbeat', 'stage']);
  expect(counts.total).toBeGreaterThan(90);
  expect(counts.total).toBeLessThanOrEqual(126);
});

test('writers die loudly when the database says what nobody expected', async () => {
  let error: Error | undefined;
  const writers = await startWriters({
    config: production.config, count: 2, seed: 1, kinds: ['heartbeat'], inProcess: true, onError: (failed) => void (error = failed),
  });
  await ask(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shop-writer' LIMIT 1`);
  expect((await eventually(async () => error)).message).toBe("the writer's heartbeat failed");
  await expect(writers.stop()).rejects.toThrow("the writer's heartbeat failed");
  await expect(startWriters({ config: production.config, count: 1, seed: 1, kinds: ['nonsense'], inProcess: true, onError: () => {} }))
    .rejects.toThrow(/no kind of writing "nonsense"/);
});

const built = resolve('dist/scripts/demo/writers.js');

test.skipIf(!existsSync(built))('the process of the writers ends in order when its parent is killed', async () => {
  const program = `const { startWriters } = await import(${JSON.stringify(built)});
    const writers = await startWriters({ config: ${JSON.stringify(production.config)}, count: 3, seed: 1, onError: () => {} });
    console.log(writers.pid); setInterval(() => {}, 1000)`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = await new Promise<number>((told) => parent.stdout.once('data', (line: Buffer) => told(Number(line))));
  await new Promise((done) => setTimeout(done, 500));
  parent.kill('SIGKILL');
  await eventually(async () => (existsSync(`/proc/${pid}`) ? undefined : true));
  expect(await ask(`SELECT FROM pg_prepared_xacts`)).toEqual([]);
  await eventually(async () => (await ask(`SELECT FROM pg_stat_activity WHERE application_name = 'shop-writer'`)).length === 0 || undefined);
});
