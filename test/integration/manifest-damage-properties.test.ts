import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from 'pg';
import { readDatabaseCatalog, readGlobals, type CatalogOptions } from '../../activities/manifest/catalog.ts';
import { databaseQueries, globalGrantQueries, globalQueries, grantQueries } from '../../activities/manifest/catalog-queries.ts';
import { SALT } from '../../activities/manifest/secrets.ts';
import { createOneOfEach, identityOf } from '../support/one-of-each-definition.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/*
 * Each column of each row of the catalog that a definition consists of is damaged alone: a query that does not read it is
 * noticed, and so is a column that a new version of PostgreSQL brings.
 */
let server: Server;
let client: Client;
let version: number;
beforeAll(async () => {
  server = await startCluster({ logical: true, settings: { autovacuum: false } });
  version = await createOneOfEach(server);
  client = new Client(server.config());
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await server.stop();
});

/** A row, by a condition, and what it is a definition of. Columns that are not compared are listed with the reason. */
interface Row { catalog: string; where: string; kind: string; identity: string; grant?: string; not?: Record<string, string>; only?: string[]; reader?: true; since?: number }
const none = (why: string, ...columns: string[]): Record<string, string> => Object.fromEntries(columns.map((column) => [column, why]));
const BY_ITSELF = 'the server changes it by itself';
const table = (name: string): string => `'${name}'::regclass`;

const rows: Row[] = [
  { catalog: 'pg_namespace', where: `nspname = 'kept'`, kind: 'schema', identity: 'kept', grant: 'schema kept' },
  { catalog: 'pg_class', where: `oid = ${table('t')}`, kind: 'table', identity: 'public.t', grant: 'relation public.t',
    not: none(BY_ITSELF, 'relpages', 'reltuples', 'relallvisible', 'relallfrozen', 'relfrozenxid', 'relminmxid', 'relfilenode', 'relhasindex', 'relhasrules', 'relhastriggers', 'relhassubclass', 'relrewrite') },
  { catalog: 'pg_index', where: `indexrelid = ${table('t_lower')}`, kind: 'index', identity: 'public.t_lower', not: none(BY_ITSELF, 'indcheckxmin') },
  { catalog: 'pg_attribute', where: `attrelid = ${table('t')} AND attname = 'added'`, kind: 'column', identity: 'public.t.added', grant: 'column public.t.added', not: { ...none('of its type', 'attlen', 'attbyval', 'attalign'), attcacheoff: 'always -1 on disk, until 18', attmissingval: 'of a kind of its own' } },
  { catalog: 'pg_attribute', where: `attrelid = ${table('t')} AND attname = 'added'`, kind: 'missing value', identity: 'public.t.added', only: ['attmissingval'] },
  { catalog: 'pg_attribute', where: `attrelid = ${table('t_lower')}`, kind: 'index', identity: 'public.t_lower', only: ['attnum', 'attstattarget', 'attoptions'] },
  { catalog: 'pg_attribute', where: `attrelid = ${table('of_columns')} AND attname = 'compressed'`, kind: 'column', identity: 'public.of_columns.compressed', only: ['attcompression'] },
  { catalog: 'pg_attrdef', where: `adrelid = ${table('of_columns')} AND adnum = 5`, kind: 'default', identity: 'public.of_columns.defaulted', not: { oid: 'nothing refers to it' } },
  { catalog: 'pg_constraint', where: `conname = 't_c_check'`, kind: 'constraint', identity: 't_c_check on public.t' },
  { catalog: 'pg_constraint', where: `conname = 'has_at'`, kind: 'constraint', identity: 'has_at on public.email' },
  { catalog: 'pg_trigger', where: `tgname = 'touched'`, kind: 'trigger', identity: 'touched on public.t' },
  { catalog: 'pg_rewrite', where: `rulename = 'quiet'`, kind: 'rule', identity: 'quiet on public.t' },
  { catalog: 'pg_policy', where: `polname = 'mine'`, kind: 'policy', identity: 'mine on public.t' },
  { catalog: 'pg_inherits', where: `inhrelid = ${table('child')}`, kind: 'inheritance', identity: `public.child of {'parent'::regclass}` },
  { catalog: 'pg_partitioned_table', where: `partrelid = ${table('parted')}`, kind: 'partitioning', identity: 'public.parted' },
  { catalog: 'pg_sequence', where: `seqrelid = ${table('s')}`, kind: 'sequence', identity: 'public.s' },
  { catalog: 'pg_proc', where: `proname = 'f'`, kind: 'function', identity: 'public.f(pg_catalog.int4, pg_catalog.int4)', grant: 'function public.f(pg_catalog.int4, pg_catalog.int4)' },
  { catalog: 'pg_aggregate', where: `aggfnoid = 'total(int)'::regprocedure`, kind: 'aggregate', identity: 'public.total(pg_catalog.int4)' },
  { catalog: 'pg_type', where: `typname = 'email'`, kind: 'type', identity: 'public.email', grant: 'type public.email' },
  { catalog: 'pg_type', where: `typname = 'list'`, kind: 'type', identity: 'public.list', only: ['typsubscript'] },
  { catalog: 'pg_enum', where: `enumlabel = 'calm'`, kind: 'enum label', identity: `public.mood: 'calm'` },
  { catalog: 'pg_range', where: `rngtypid = 'span'::regtype`, kind: 'range type', identity: 'public.span' },
  { catalog: 'pg_extension', where: `extname = 'plpgsql'`, kind: 'extension', identity: 'plpgsql 1.0' },
  { catalog: 'pg_event_trigger', where: `evtname = 'noted'`, kind: 'event trigger', identity: 'noted' },
  { catalog: 'pg_publication', where: `pubname = 'p'`, kind: 'publication', identity: 'p' },
  { catalog: 'pg_publication_rel', where: `prpubid = (SELECT oid FROM pg_publication WHERE pubname = 'p')`, kind: 'publication table', identity: 'p: public.t' },
  { catalog: 'pg_publication_namespace', where: `pnnspid = 'kept'::regnamespace`, kind: 'publication schema', identity: 'p_schemas: kept', since: 150_000 },
  { catalog: 'pg_subscription', where: `subname = 'sub'`, kind: 'subscription', identity: 'sub' },
  { catalog: 'pg_subscription', where: `subname = 'sub'`, kind: 'subscription', identity: 'sub', reader: true, not: none('listed as not verified for this role', 'subconninfo', 'subskiplsn', 'subbinary', 'substream', 'subtwophasestate', 'subdisableonerr', 'subpasswordrequired', 'subrunasowner', 'subfailover', 'suborigin') },
  { catalog: 'pg_foreign_data_wrapper', where: `fdwname = 'w'`, kind: 'foreign-data wrapper', identity: 'w', grant: 'foreign-data wrapper w' },
  { catalog: 'pg_foreign_server', where: `srvname = 'far'`, kind: 'foreign server', identity: 'far', grant: 'foreign server far' },
  { catalog: 'pg_user_mapping', where: `umuser = 'clerk'::regrole`, kind: 'user mapping', identity: 'clerk on far' },
  { catalog: 'pg_foreign_table', where: `ftrelid = ${table('far_away')}`, kind: 'foreign table', identity: 'public.far_away' },
  { catalog: 'pg_language', where: `lanname = 'plpgsql'`, kind: 'language', identity: 'plpgsql', grant: 'language plpgsql' },
  { catalog: 'pg_am', where: `amname = 'heap_too'`, kind: 'access method', identity: 'heap_too' },
  { catalog: 'pg_cast', where: `castsource = 23 AND casttarget = 'mood'::regtype`, kind: 'cast', identity: `from 23 to {'mood'::regtype}` },
  { catalog: 'pg_operator', where: `oprname = '==='`, kind: 'operator', identity: 'public."==="' },
  { catalog: 'pg_opclass', where: `opcname = 'backwards'`, kind: 'operator class', identity: 'public.backwards' },
  { catalog: 'pg_opfamily', where: `opfname = 'numbers'`, kind: 'operator family', identity: 'public.numbers' },
  { catalog: 'pg_amop', where: `amopfamily = (SELECT oid FROM pg_opfamily WHERE opfname = 'numbers') AND amopstrategy = 1`, kind: 'operator in family', identity: '1 for 23, 21 in public.numbers' },
  { catalog: 'pg_amproc', where: `amprocfamily = (SELECT oid FROM pg_opfamily WHERE opfname = 'numbers') AND amproclefttype = 23 AND amprocrighttype = 21`, kind: 'function in family', identity: '1 for 23, 21 in public.numbers' },
  { catalog: 'pg_collation', where: `collname = 'plain'`, kind: 'collation', identity: 'public.plain' },
  { catalog: 'pg_conversion', where: `conname = 'narrow'`, kind: 'conversion', identity: 'public.narrow' },
  { catalog: 'pg_transform', where: `trflang = (SELECT oid FROM pg_language WHERE lanname = 'sql')`, kind: 'transform', identity: 'for 23 in sql' },
  { catalog: 'pg_statistic_ext', where: `stxname = 't_both'`, kind: 'statistics', identity: 'public.t_both' },
  { catalog: 'pg_ts_config', where: `cfgname = 'words'`, kind: 'text search configuration', identity: 'public.words' },
  { catalog: 'pg_ts_config_map', where: `mapcfg = 'words'::regconfig AND maptokentype = 1`, kind: 'text search configuration', identity: 'public.words' },
  { catalog: 'pg_ts_template', where: `tmplname = 'simplest'`, kind: 'text search template', identity: 'public.simplest' },
  { catalog: 'pg_ts_dict', where: `dictname = 'short'`, kind: 'text search dictionary', identity: 'public.short' },
  { catalog: 'pg_ts_parser', where: `prsname = 'letters'`, kind: 'text search parser', identity: 'public.letters' },
  { catalog: 'pg_description', where: `objoid = ${table('t')}`, kind: 'comment', identity: `1259/{'t'::regclass}/0` },
  { catalog: 'pg_seclabel', where: `objoid = ${table('t')}`, kind: 'security label', identity: `dummy on 1259/{'t'::regclass}/0` },
  { catalog: 'pg_largeobject_metadata', where: 'oid = 4711', kind: 'grant', identity: 'on large object 4711 to clerk', not: { lomowner: 'a row of contents, as large objects are' }, grant: 'large object 4711' },
  { catalog: 'pg_default_acl', where: 'true', kind: 'grant', identity: 'on future objects r of postgres in any schema to clerk', not: { oid: 'nothing refers to it' }, grant: 'future objects r of postgres in any schema' },
  { catalog: 'pg_authid', where: `rolname = 'clerk'`, kind: 'role', identity: 'clerk' },
  { catalog: 'pg_authid', where: `rolname = 'clerk'`, kind: 'role', identity: 'clerk', reader: true, not: { rolpassword: 'this role may not read it' } },
  { catalog: 'pg_auth_members', where: `roleid = 'staff'::regrole`, kind: 'membership', identity: 'clerk in staff' },
  { catalog: 'pg_db_role_setting', where: `setrole = 'clerk'::regrole`, kind: 'setting', identity: 'of role clerk in database any' },
  { catalog: 'pg_database', where: `datname = 'other'`, kind: 'database', identity: 'other', grant: 'database other', not: none(BY_ITSELF, 'datfrozenxid', 'datminmxid', 'dathasloginevt') },
  { catalog: 'pg_tablespace', where: `spcname = 'pg_default'`, kind: 'tablespace', identity: 'pg_default', grant: 'tablespace pg_default' },
  { catalog: 'pg_parameter_acl', where: 'true', kind: 'grant', identity: 'on parameter work_mem to clerk', not: { oid: 'nothing refers to it' }, grant: 'parameter work_mem', since: 150_000 },
  { catalog: 'pg_shdescription', where: `objoid = 'clerk'::regrole`, kind: 'shared comment', identity: `1260/{'clerk'::regrole}` },
  { catalog: 'pg_shseclabel', where: `objoid = 'clerk'::regrole`, kind: 'shared security label', identity: `dummy on 1260/{'clerk'::regrole}` },
];

const queries = [...databaseQueries, ...grantQueries, ...globalQueries, ...globalGrantQueries];

/** SQL for another value than a column has, by its type. */
const OTHERS: Record<string, (column: string) => string> = {
  bool: (c) => `NOT coalesce(${c}, false)`, oid: (c) => `(coalesce(${c}, 0)::int8 + 1000000)::oid`, regproc: (c) => `(${c}::oid::int8 + 1000000)::oid::regproc`,
  int2: (c) => `coalesce(${c}, 0) + 1000`, int4: (c) => `coalesce(${c}, 0) + 1000`, int8: (c) => `${c} - 1`, float4: (c) => `${c} + 1000`, xid: () => `'1000'`, pg_lsn: () => `'1/1'`, timestamptz: () => `'2001-01-01'`,
  char: (c) => `(CASE ${c} WHEN 'z' THEN 'y' ELSE 'z' END)::"char"`, name: (c) => `coalesce(${c}, '') || '~'`, text: (c) => `coalesce(${c}, '') || '~'`, bytea: (c) => `${c} || '\\x00'::bytea`,
  _oid: (c) => `coalesce(${c}, '{}') || 1::oid`, _int2: (c) => `coalesce(${c}, '{}') || 1::int2`, _char: (c) => `coalesce(${c}, '{}') || 'z'::"char"`, _text: (c) => `coalesce(${c}, '{}') || '~'::text`, _name: (c) => `coalesce(${c}, '{}') || '~'::name`,
  int2vector: () => `'77 77'`, oidvector: () => `'77 77'`, pg_node_tree: () => `(SELECT polqual FROM pg_policy WHERE polname = 'mine_lost')`, anyarray: () => 'NULL', _aclitem: () => `'{=r/postgres}'`,
};

interface Column { name: string; type: string }
const columnsOf = async ({ catalog, only }: Row): Promise<Column[]> => {
  const { rows: columns } = await client.query<Column>(`SELECT attname AS name, typname AS type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, [catalog]);
  return columns.filter(({ name }) => only?.includes(name) ?? true);
};

/** What the product reads of this one kind from this one catalog; to ask for all of it each time would take minutes. */
async function read({ reader, catalog }: Row, kind: string): Promise<Map<string, string>> {
  const salt = 'ab';
  const asked = queries.filter((query) => query.kind === '' || (query.kind === kind && (kind !== 'grant' || query.sql.includes(` FROM ${catalog} `)))).map(({ sql }) => sql.replaceAll(SALT, salt));
  const isAsked = (sql: string): boolean => asked.some((one) => sql.includes(one)) || (kind === 'role' && /FROM pg_(authid|roles) x\)/.test(sql));
  const listening = { query: (sql: string) => (isAsked(sql) ? client.query(sql) : Promise.resolve({ rows: [] })) } as unknown as Client;
  const options: CatalogOptions = { serverVersionNum: version, salt, secrets: { passwords: reader !== true, subscriptions: reader !== true } };
  const objects = [...await readDatabaseCatalog(listening, options), ...await readGlobals(listening, options)];
  return new Map(objects.filter(([object]) => object === kind).map(([, identity, hash]) => [identity, hash]));
}

const titled = rows.map((row): [string, string, Row] => [row.catalog, `${row.kind} ${row.identity}${row.reader ? ', by a role that may not see all' : ''}`, row]);
test.for(titled)('each column of %s is compared: %s', async ([, , row], { skip }) => {
  if (version < (row.since ?? 0)) return skip('this server has no such catalog');
  const identity = await identityOf(client, row.identity);
  const isOf = (type: string) => type === '_aclitem' ? { kind: 'grant', named: `on ${row.grant ?? 'nothing'} to clerk` } : { kind: row.kind, named: identity };
  const columns = await columnsOf(row);
  const before = new Map<string, Map<string, string>>();
  for (const { kind, named } of columns.map(({ type }) => isOf(type))) {
    if (!before.has(kind)) before.set(kind, await read(row, kind));
    expect([...before.get(kind)?.keys() ?? []]).toContain(named);
  }
  const unseen: string[] = [];
  for (const { name, type } of columns) {
    const { kind, named } = isOf(type);
    try {
      const [, { rowCount }] = await client.query(`BEGIN; UPDATE ${row.catalog} SET ${name} = ${OTHERS[type]?.(name) ?? `no other value of ${type}`} WHERE ${row.where}`) as unknown as [unknown, { rowCount: number }];
      expect(rowCount).toBe(1);
      if ((await read(row, kind)).get(named) === before.get(kind)?.get(named)) unseen.push(name);
    } finally {
      await client.query('ROLLBACK');
    }
  }
  expect(unseen).toEqual(columns.map(({ name }) => name).filter((name) => row.not?.[name] !== undefined));
});

test('each catalog that is asked is among them', async () => {
  const { rows: catalogs } = await client.query<{ name: string }>(`SELECT relname AS name FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'`);
  const asked = new Set(queries.flatMap(({ sql }) => [...sql.matchAll(/(?:FROM|JOIN) \(?(pg_\w+)/g)].map(([, name]) => name)));
  expect(catalogs.map(({ name }) => name).filter((name) => asked.has(name) && rows.every(({ catalog }) => catalog !== name))).toEqual([]);
});
