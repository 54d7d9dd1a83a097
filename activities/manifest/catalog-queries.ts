import { isOfUsers } from './of-users.ts';
import { quickDigest, slowDigestOf, slowDigestOfAll, type ReadableSecrets } from './secrets.ts';

/**
 * How one kind of object is read: a query for `identity` (for people) and `definition` (hashed, never kept). `callsTypes`: it calls functions
 * of users' types, whose library a host may lack; then nothing else of its kind is read.
 */
export interface CatalogQuery { kind: string; sql: string; minimumVersion?: number; secret?: keyof ReadableSecrets; callsTypes?: true }

/*
 * Definitions are the raw rows of the catalog, object ids included: a physical restore keeps them, plain rows obey the
 * snapshot, and the functions that print definitions (pg_get_…def) or resolve names (regproc, regtype, aclitem) do not.
 * So columns of those types are turned into numbers or left out, and what changes without a change of definition
 * (statistics, horizons, file numbers, what is updated in place) is left out too.
 */
const ofTable = `JOIN pg_class c ON c.oid = %.relid JOIN pg_namespace n ON n.oid = c.relnamespace`;
const relationKind = `CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
  WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'f' THEN 'foreign table' ELSE 'composite type' END`;
const volatileOfClass = `ARRAY['relacl','relpages','reltuples','relallvisible','relallfrozen','relfrozenxid','relminmxid','relfilenode',
  'relhasindex','relhasrules','relhastriggers','relhassubclass','relrewrite']`;
const ofThisDatabase = `x.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`;
const onTable = (relid: string): string => ofTable.replace('%.relid', relid);
const arguments_ = `(SELECT coalesce(string_agg(format('%I.%I', tn.nspname, t.typname), ', ' ORDER BY a.i), '')
  FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a(oid, i) JOIN pg_type t ON t.oid = a.oid JOIN pg_namespace tn ON tn.oid = t.typnamespace)`;
const label = `format('%I.%I', n.nspname, c.relname)`;
/** The whole row, with the functions among its columns as numbers: what a new version adds to it is compared, too. */
const allOf = (functions: string[] = [], without: string[] = []): string => `((to_jsonb(x) - ARRAY[${[...functions, ...without].map((name) => `'${name}'`).join()}]::text[])
      || jsonb_build_object(${functions.map((name) => `'${name}', x.${name}::oid`).join()}))::text`;
/** Single columns, of which any may be NULL: what moves from one to the next is another definition. */
const parts = (...columns: string[]): string => `jsonb_build_array(${columns.join(', ')})::text`;
const plain = (kind: string, table: string, identity: string, without: string[] = []): CatalogQuery => ({ kind, sql: `SELECT ${identity} AS identity, ${allOf([], without)} AS definition FROM ${table} x` });
/** A kind whose rows live in a schema. */
const inSchema = (kind: string, table: string, prefix: string, functions: string[] = []): CatalogQuery => ({
  kind,
  sql: `SELECT format('%I.%I', n.nspname, x.${prefix}name) AS identity, ${allOf(functions)} AS definition
    FROM ${table} x JOIN pg_namespace n ON n.oid = x.${prefix}namespace WHERE ${isOfUsers('x.oid')}`,
});

/** What one database defines. */
export const databaseQueries: readonly CatalogQuery[] = [
  { kind: 'schema', sql: `SELECT format('%I', nspname) AS identity, (to_jsonb(n) - 'nspacl')::text AS definition FROM pg_namespace n WHERE nspname !~ '^pg_(toast_)?temp_'` },
  { kind: '', sql: `SELECT ${relationKind} AS kind, ${label} AS identity,
      ((to_jsonb(c) - ${volatileOfClass} - 'reloptions') || jsonb_build_object('reloptions', c.reloptions::text))::text AS definition
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relpersistence <> 't' AND c.relkind <> 't' AND ${isOfUsers('c.oid')}` },
  { kind: 'index', sql: `SELECT ${label} AS identity, (to_jsonb(i) - 'indcheckxmin')::text AS definition FROM pg_index i ${onTable('i.indexrelid')} WHERE c.relpersistence <> 't' AND ${isOfUsers('c.oid')}` },
  { kind: 'column', sql: `SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) AS identity,
      ${parts('a.attnum', 'a.atttypid', 'a.atttypmod', 'a.attndims', 'a.attnotnull', 'a.atthasdef', 'a.attidentity', 'a.attgenerated', 'a.attislocal', 'a.attinhcount', 'a.attcollation', 'a.attstorage',
    'a.attoptions', 'a.atthasmissing', 'coalesce(a.attstattarget, -1)', quickDigest('a.attfdwoptions::text'))} AS definition
    FROM pg_attribute a ${onTable('a.attrelid')} WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I', 't') AND c.relpersistence <> 't' AND ${isOfUsers('c.oid')}` },
  { kind: 'missing value', callsTypes: true, sql: `SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) AS identity, a.attmissingval::text AS definition
    FROM pg_attribute a ${onTable('a.attrelid')} WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attmissingval IS NOT NULL AND c.relpersistence <> 't' AND ${isOfUsers('c.oid')}` },
  { kind: 'column', minimumVersion: 140000, sql: `SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) AS identity, a.attcompression::text AS definition
    FROM pg_attribute a ${onTable('a.attrelid')} WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attcompression <> '' AND c.relkind NOT IN ('i', 'I', 't') AND c.relpersistence <> 't' AND ${isOfUsers('c.oid')}` },
  { kind: 'index', sql: `SELECT ${label} AS identity, ${parts('a.attnum', 'coalesce(a.attstattarget, -1)', 'a.attoptions')} AS definition
    FROM pg_attribute a ${onTable('a.attrelid')} WHERE (a.attoptions IS NOT NULL OR coalesce(a.attstattarget, -1) <> -1) AND c.relkind IN ('i', 'I') AND c.relpersistence <> 't' AND ${isOfUsers('c.oid')}` },
  { kind: 'default', sql: `SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) AS identity, d.adbin::text AS definition
    FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum ${onTable('d.adrelid')} WHERE c.relpersistence <> 't' AND ${isOfUsers('d.oid')}` },
  { kind: 'constraint', sql: `SELECT format('%I on %s', x.conname, CASE WHEN c.oid IS NOT NULL THEN ${label} ELSE format('%I.%I', n2.nspname, t.typname) END) AS identity, to_jsonb(x)::text AS definition
    FROM pg_constraint x LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace) ON c.oid = x.conrelid
    LEFT JOIN (pg_type t JOIN pg_namespace n2 ON n2.oid = t.typnamespace) ON t.oid = x.contypid
    WHERE (c.oid IS NOT NULL AND c.relpersistence <> 't' AND ${isOfUsers('x.oid')}) OR (t.oid IS NOT NULL AND ${isOfUsers('x.oid', 'n2')})` },
  { kind: 'trigger', sql: `SELECT format('%I on %s', x.tgname, ${label}) AS identity, to_jsonb(x)::text AS definition FROM pg_trigger x ${onTable('x.tgrelid')} WHERE c.relpersistence <> 't' AND ${isOfUsers('x.oid')}` },
  { kind: 'rule', sql: `SELECT format('%I on %s', x.rulename, ${label}) AS identity, to_jsonb(x)::text AS definition FROM pg_rewrite x ${onTable('x.ev_class')} WHERE c.relpersistence <> 't' AND ${isOfUsers('x.oid')}` },
  { kind: 'policy', sql: `SELECT format('%I on %s', x.polname, ${label}) AS identity, to_jsonb(x)::text AS definition FROM pg_policy x ${onTable('x.polrelid')}` },
  { kind: 'inheritance', sql: `SELECT format('%s of %s', ${label}, x.inhparent) AS identity, to_jsonb(x)::text AS definition FROM pg_inherits x ${onTable('x.inhrelid')} WHERE c.relpersistence <> 't' AND ${isOfUsers('c.oid')}` },
  { kind: 'partitioning', sql: `SELECT ${label} AS identity, to_jsonb(x)::text AS definition FROM pg_partitioned_table x ${onTable('x.partrelid')} WHERE c.relpersistence <> 't' AND ${isOfUsers('c.oid')}` },
  { kind: 'sequence', sql: `SELECT ${label} AS identity, to_jsonb(x)::text AS definition FROM pg_sequence x ${onTable('x.seqrelid')} WHERE c.relpersistence <> 't' AND ${isOfUsers('c.oid')}` },
  { kind: 'function', sql: `SELECT format('%I.%I(%s)', n.nspname, p.proname, ${arguments_}) AS identity,
      ((to_jsonb(p) - ARRAY['proacl', 'prosupport']) || jsonb_build_object('prosupport', p.prosupport::oid))::text AS definition
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${isOfUsers('p.oid')}` },
  { kind: 'aggregate', sql: `SELECT format('%I.%I(%s)', n.nspname, p.proname, ${arguments_}) AS identity,
      ${allOf(['aggfnoid', 'aggtransfn', 'aggfinalfn', 'aggcombinefn', 'aggserialfn', 'aggdeserialfn', 'aggmtransfn', 'aggminvtransfn', 'aggmfinalfn'])} AS definition
    FROM pg_aggregate x JOIN pg_proc p ON p.oid = x.aggfnoid::oid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${isOfUsers('p.oid')}` },
  { kind: 'type', sql: `SELECT format('%I.%I', n.nspname, t.typname) AS identity,
      ((to_jsonb(t) - ARRAY['typacl','typinput','typoutput','typreceive','typsend','typmodin','typmodout','typanalyze','typsubscript'])
       || jsonb_build_array(t.typinput::oid, t.typoutput::oid, t.typreceive::oid, t.typsend::oid, t.typmodin::oid, t.typmodout::oid, t.typanalyze::oid))::text AS definition
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE ${isOfUsers('t.oid')} AND t.typtype IN ('b', 'd', 'e', 'r', 'm', 'p') AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)` },
  { kind: 'type', minimumVersion: 140000, sql: `SELECT format('%I.%I', n.nspname, t.typname) AS identity, t.typsubscript::oid::text AS definition
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE ${isOfUsers('t.oid')} AND t.typsubscript <> 0 AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)` },
  { kind: 'enum label', sql: `SELECT format('%I.%I: %L', n.nspname, t.typname, x.enumlabel) AS identity, to_jsonb(x)::text AS definition
    FROM pg_enum x JOIN pg_type t ON t.oid = x.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace` },
  { kind: 'range type', sql: `SELECT format('%I.%I', n.nspname, t.typname) AS identity,
      ${allOf(['rngcanonical', 'rngsubdiff'])} AS definition
    FROM pg_range x JOIN pg_type t ON t.oid = x.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace WHERE ${isOfUsers('t.oid')}` },
  plain('extension', 'pg_extension', `format('%I %s', x.extname, x.extversion)`),
  plain('event trigger', 'pg_event_trigger', `format('%I', x.evtname)`),
  plain('publication', 'pg_publication', `format('%I', x.pubname)`),
  { kind: 'publication table', sql: `SELECT format('%I: %s', p.pubname, ${label}) AS identity, to_jsonb(x)::text AS definition FROM pg_publication_rel x JOIN pg_publication p ON p.oid = x.prpubid ${onTable('x.prrelid')}` },
  { kind: 'publication schema', minimumVersion: 150000, sql: `SELECT format('%I: %I', p.pubname, n.nspname) AS identity, to_jsonb(x)::text AS definition FROM pg_publication_namespace x JOIN pg_publication p ON p.oid = x.pnpubid JOIN pg_namespace n ON n.oid = x.pnnspid` },
  { kind: 'subscription', sql: `SELECT format('%I', x.subname) AS identity, ${parts('x.oid', 'x.subowner', 'x.subenabled', 'x.subslotname', 'x.subsynccommit', 'x.subpublications')} AS definition
    FROM pg_subscription x WHERE ${ofThisDatabase}` },
  { kind: 'subscription', secret: 'subscriptions', sql: `SELECT format('%I', x.subname) AS identity, ${parts(`to_jsonb(x) - 'subconninfo'`, slowDigestOf('pg_subscription', 'x.subconninfo'))} AS definition
    FROM pg_subscription x WHERE ${ofThisDatabase}` },
  { kind: 'subscription', secret: 'subscriptions', sql: slowDigestOfAll('pg_subscription', 'x.subconninfo', ofThisDatabase) },
  { kind: 'foreign-data wrapper', sql: `SELECT format('%I', x.fdwname) AS identity, ${parts('x.oid', 'x.fdwowner', 'x.fdwhandler::oid', 'x.fdwvalidator::oid', slowDigestOf('pg_foreign_data_wrapper', 'x.fdwoptions'))} AS definition FROM pg_foreign_data_wrapper x` },
  { kind: 'foreign-data wrapper', sql: slowDigestOfAll('pg_foreign_data_wrapper', 'x.fdwoptions') },
  { kind: 'foreign server', sql: `SELECT format('%I', x.srvname) AS identity, ${parts('x.oid', 'x.srvowner', 'x.srvfdw', 'x.srvtype', 'x.srvversion', slowDigestOf('pg_foreign_server', 'x.srvoptions'))} AS definition FROM pg_foreign_server x` },
  { kind: 'foreign server', sql: slowDigestOfAll('pg_foreign_server', 'x.srvoptions') },
  { kind: 'user mapping', sql: `SELECT format('%s on %I', coalesce(r.rolname, 'public'), s.srvname) AS identity, ${parts('x.oid', slowDigestOf('pg_user_mapping', 'x.umoptions'))} AS definition
    FROM pg_user_mapping x JOIN pg_foreign_server s ON s.oid = x.umserver LEFT JOIN pg_roles r ON r.oid = x.umuser` },
  { kind: 'user mapping', sql: slowDigestOfAll('pg_user_mapping', 'x.umoptions') },
  { kind: 'foreign table', sql: `SELECT ${label} AS identity, ${parts('x.ftserver', quickDigest('x.ftoptions::text'))} AS definition FROM pg_foreign_table x ${onTable('x.ftrelid')}` },
  plain('language', 'pg_language', `format('%I', x.lanname)`, ['lanacl']),
  { kind: 'access method', sql: `SELECT format('%I', x.amname) AS identity, ${allOf(['amhandler'])} AS definition FROM pg_am x` },
  plain('cast', 'pg_cast', `format('from %s to %s', x.castsource, x.casttarget)`),
  inSchema('operator', 'pg_operator', 'opr', ['oprcode', 'oprrest', 'oprjoin']),
  inSchema('operator class', 'pg_opclass', 'opc'),
  inSchema('operator family', 'pg_opfamily', 'opf'),
  inSchema('collation', 'pg_collation', 'coll'),
  inSchema('conversion', 'pg_conversion', 'con', ['conproc']),
  inSchema('statistics', 'pg_statistic_ext', 'stx'),
  inSchema('text search configuration', 'pg_ts_config', 'cfg'),
  { kind: 'text search configuration', sql: `SELECT format('%I.%I', n.nspname, x.cfgname) AS identity, string_agg(concat_ws('|', m.maptokentype, m.mapseqno, m.mapdict), ',' ORDER BY m.maptokentype, m.mapseqno) AS definition
    FROM pg_ts_config_map m JOIN pg_ts_config x ON x.oid = m.mapcfg JOIN pg_namespace n ON n.oid = x.cfgnamespace WHERE ${isOfUsers('x.oid')} GROUP BY 1` },
  inSchema('text search template', 'pg_ts_template', 'tmpl', ['tmplinit', 'tmpllexize']),
  inSchema('text search dictionary', 'pg_ts_dict', 'dict'),
  inSchema('text search parser', 'pg_ts_parser', 'prs', ['prsstart', 'prstoken', 'prsend', 'prsheadline', 'prslextype']),
  { kind: 'operator in family', sql: `SELECT format('%s for %s, %s in %I.%I', x.amopstrategy, x.amoplefttype, x.amoprighttype, n.nspname, f.opfname) AS identity, to_jsonb(x)::text AS definition
    FROM pg_amop x JOIN pg_opfamily f ON f.oid = x.amopfamily JOIN pg_namespace n ON n.oid = f.opfnamespace WHERE x.oid >= 16384` },
  { kind: 'function in family', sql: `SELECT format('%s for %s, %s in %I.%I', x.amprocnum, x.amproclefttype, x.amprocrighttype, n.nspname, f.opfname) AS identity, ${allOf(['amproc'])} AS definition
    FROM pg_amproc x JOIN pg_opfamily f ON f.oid = x.amprocfamily JOIN pg_namespace n ON n.oid = f.opfnamespace WHERE x.oid >= 16384` },
  { kind: 'transform', sql: `SELECT format('for %s in %I', x.trftype, l.lanname) AS identity, ${allOf(['trffromsql', 'trftosql'])} AS definition FROM pg_transform x JOIN pg_language l ON l.oid = x.trflang` },
  // Of what initdb made, thousands have a comment of its own; people write theirs on these few.
  { kind: 'comment', sql: `SELECT format('%s/%s/%s', x.classoid, x.objoid, x.objsubid) AS identity, x.description AS definition FROM pg_description x
    WHERE x.objoid >= 16384 OR x.classoid IN ('pg_namespace'::regclass, 'pg_extension'::regclass, 'pg_language'::regclass, 'pg_largeobject'::regclass)` },
  { kind: 'security label', sql: `SELECT format('%I on %s/%s/%s', x.provider, x.classoid, x.objoid, x.objsubid) AS identity, x.label AS definition FROM pg_seclabel x` },
];

/** What the whole cluster defines, besides its roles. */
export const globalQueries: readonly CatalogQuery[] = [
  { kind: 'membership', sql: `SELECT format('%I in %I', m.rolname, r.rolname) AS identity, to_jsonb(x)::text AS definition
    FROM pg_auth_members x JOIN pg_roles r ON r.oid = x.roleid JOIN pg_roles m ON m.oid = x.member` },
  { kind: 'setting', sql: `SELECT format('of role %s in database %s', coalesce(quote_ident(r.rolname), 'any'), coalesce(quote_ident(d.datname), 'any')) AS identity, to_jsonb(x)::text AS definition
    FROM pg_db_role_setting x LEFT JOIN pg_roles r ON r.oid = x.setrole LEFT JOIN pg_database d ON d.oid = x.setdatabase` },
  plain('database', 'pg_database', `format('%I', x.datname)`, ['datacl', 'datfrozenxid', 'datminmxid', 'dathasloginevt']),
  plain('tablespace', 'pg_tablespace', `format('%I', x.spcname)`, ['spcacl']),
  { kind: 'shared comment', sql: `SELECT format('%s/%s', x.classoid, x.objoid) AS identity, x.description AS definition FROM pg_shdescription x` },
  { kind: 'shared security label', sql: `SELECT format('%I on %s/%s', x.provider, x.classoid, x.objoid) AS identity, x.label AS definition FROM pg_shseclabel x` },
];

/** NULL stands for the privileges that everybody has by default, and gives no row; an empty list says that nobody has any, and must not look the same. */
const grantQuery = (object: string, identity: string, from: string, acl: string): string =>
  `SELECT format('on ${object} %s to %s', ${identity}, coalesce(quote_ident(g.rolname), 'public')) AS identity,
     string_agg(e.privilege_type || e.is_grantable || coalesce(b.rolname, ''), ',' ORDER BY e.privilege_type, e.is_grantable, b.rolname) AS definition
   FROM ${from}, aclexplode(${acl}) e LEFT JOIN pg_roles g ON g.oid = e.grantee LEFT JOIN pg_roles b ON b.oid = e.grantor GROUP BY 1
   UNION ALL SELECT format('on ${object} %s to no one', ${identity}), '' FROM ${from} WHERE cardinality(${acl}) = 0`;

/** Privileges of one database's objects, one object per grantee. */
export const grantQueries: readonly CatalogQuery[] = [
  { kind: 'grant', sql: grantQuery('relation', label, 'pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relpersistence <> \'t\'', 'c.relacl') },
  { kind: 'grant', sql: grantQuery('column', `format('%I.%I.%I', n.nspname, c.relname, a.attname)`, `pg_attribute a ${onTable('a.attrelid')}`, 'a.attacl') },
  { kind: 'grant', sql: grantQuery('schema', `quote_ident(n.nspname)`, 'pg_namespace n', 'n.nspacl') },
  { kind: 'grant', sql: grantQuery('function', `format('%I.%I(%s)', n.nspname, p.proname, ${arguments_})`, 'pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace', 'p.proacl') },
  { kind: 'grant', sql: grantQuery('type', `format('%I.%I', n.nspname, t.typname)`, 'pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace', 't.typacl') },
  { kind: 'grant', sql: grantQuery('language', 'quote_ident(x.lanname)', 'pg_language x', 'x.lanacl') },
  { kind: 'grant', sql: grantQuery('foreign-data wrapper', 'quote_ident(x.fdwname)', 'pg_foreign_data_wrapper x', 'x.fdwacl') },
  { kind: 'grant', sql: grantQuery('foreign server', 'quote_ident(x.srvname)', 'pg_foreign_server x', 'x.srvacl') },
  { kind: 'grant', sql: grantQuery('large object', 'x.oid::text', 'pg_largeobject_metadata x', 'x.lomacl') },
  { kind: 'grant', sql: grantQuery('future objects', `format('%s of %s in %s', x.defaclobjtype, (SELECT rolname FROM pg_roles WHERE oid = x.defaclrole), CASE x.defaclnamespace WHEN 0 THEN 'any schema' ELSE coalesce((SELECT quote_ident(nspname) FROM pg_namespace WHERE oid = x.defaclnamespace), x.defaclnamespace::text) END)`, 'pg_default_acl x', 'x.defaclacl') },
];

/** Privileges of objects that all databases share. */
export const globalGrantQueries: readonly CatalogQuery[] = [
  { kind: 'grant', sql: grantQuery('database', 'quote_ident(x.datname)', 'pg_database x', 'x.datacl') },
  { kind: 'grant', sql: grantQuery('tablespace', 'quote_ident(x.spcname)', 'pg_tablespace x', 'x.spcacl') },
  { kind: 'grant', minimumVersion: 150000, sql: grantQuery('parameter', 'x.parname', 'pg_parameter_acl x', 'x.paracl') },
];
