import type { Client } from 'pg';
import type { Server } from './postgres.ts';

/*
 * Of each kind of definition and privilege that a manifest compares there is at least one, in `postgres`. What is called `…lost` is
 * there to be dropped, so that no damage hides behind that of something else; some have no columns, so that no other goes with them.
 */
const SHARED = `
CREATE ROLE clerk LOGIN PASSWORD 'secret'; CREATE ROLE staff; CREATE ROLE auditor; GRANT staff, auditor TO clerk; ALTER ROLE clerk SET work_mem = '8MB'; ALTER DATABASE other SET work_mem = '5MB';
COMMENT ON ROLE clerk IS 'works here'; COMMENT ON ROLE staff IS 'more'; INSERT INTO pg_shseclabel SELECT oid, 'pg_authid'::regclass, 'dummy', 'closed' FROM pg_authid WHERE rolname IN ('clerk', 'staff');
GRANT CONNECT ON DATABASE other TO clerk; GRANT CREATE ON TABLESPACE pg_default TO clerk`;

const RELATIONS = `
CREATE SCHEMA kept; CREATE SCHEMA lost; GRANT USAGE ON SCHEMA kept TO clerk;
CREATE TABLE t (a int, b text, c text CHECK (c <> ''), d text CHECK (d <> '')); INSERT INTO t VALUES (1, 'one', 'two', 'three'); ALTER TABLE t ADD added int DEFAULT 7; GRANT SELECT ON t TO clerk; GRANT SELECT (added) ON t TO clerk;
CREATE INDEX t_lower ON t (lower(b)) WHERE a > 1; ALTER INDEX t_lower ALTER COLUMN 1 SET STATISTICS 17; CREATE INDEX t_b_valid ON t (b); CREATE INDEX t_c_filled ON t (c); CREATE INDEX t_a_lost ON t (a); CREATE STATISTICS t_both ON a, b FROM t; CREATE STATISTICS t_both_lost ON a, c FROM t;
CREATE TABLE t_owned (a int); CREATE TABLE t_persistent (a int); CREATE TABLE t_filled (a int); CREATE TABLE t_replicated (a int); CREATE TABLE t_secured (a int); CREATE TABLE t_granted (a int); GRANT SELECT ON t_granted TO clerk; CREATE TABLE none_lost (); CREATE TABLE t_missing (); ALTER TABLE t_missing ADD added int DEFAULT 7;
CREATE TABLE of_columns (
  retyped int, narrow varchar(20), dimensioned int[], required int NOT NULL, defaulted int DEFAULT 1, redefaulted int DEFAULT 1, identified int GENERATED ALWAYS AS IDENTITY, generated int GENERATED ALWAYS AS (1 + 1) STORED, collated text,
  stored text, compressed text COMPRESSION pglz, optioned text, targeted text, commented text, lost text);
CREATE TABLE parent (); CREATE TABLE child () INHERITS (parent); CREATE TABLE child_lost () INHERITS (parent);
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (abs(id)); CREATE TABLE parted_detached PARTITION OF parted FOR VALUES FROM (1) TO (9); CREATE TABLE parted_by_list (id int) PARTITION BY LIST (id);
CREATE VIEW v AS SELECT a FROM t; CREATE VIEW v_changed AS SELECT a FROM t; CREATE VIEW v_lost AS SELECT; CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE MATERIALIZED VIEW m_lost AS SELECT; CREATE SEQUENCE s; CREATE SEQUENCE s_owned; CREATE SEQUENCE s_lost;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER touched BEFORE UPDATE OF a ON t FOR EACH ROW WHEN (NEW.a > 1) EXECUTE FUNCTION touch('once'); CREATE TRIGGER touched_lost BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE quiet AS ON DELETE TO t DO INSTEAD NOTHING; CREATE RULE quiet_lost AS ON DELETE TO t_owned DO INSTEAD NOTHING; CREATE POLICY mine ON t USING (a = 1) WITH CHECK (a = 2); CREATE POLICY mine_lost ON t USING (a = 3)`;

const TYPES_AND_FUNCTIONS = `
CREATE TYPE mood AS ENUM ('calm', 'cross', 'glad'); CREATE TYPE pair AS (a int, b text); CREATE TYPE pair_lost AS (); CREATE DOMAIN email AS text DEFAULT 'a@b' CONSTRAINT has_at CHECK (VALUE LIKE '%@%'); GRANT USAGE ON TYPE email TO clerk;
CREATE DOMAIN owned_email AS text; CREATE DOMAIN subscripted_email AS text; CREATE DOMAIN email_lost AS text; CREATE TYPE span AS RANGE (SUBTYPE = text, COLLATION = "C");
CREATE TYPE list; CREATE FUNCTION list_in(cstring) RETURNS list IMMUTABLE STRICT LANGUAGE internal AS 'point_in'; CREATE FUNCTION list_out(list) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'point_out';
CREATE TYPE list (INPUT = list_in, OUTPUT = list_out, INTERNALLENGTH = 16, ALIGNMENT = double, ELEMENT = float8, CATEGORY = 'A');
CREATE FUNCTION f(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql SET work_mem = '4MB' AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION f TO clerk; CREATE FUNCTION f_secure() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f_lost() RETURNS int LANGUAGE sql RETURN 1;
CREATE FUNCTION f_closed() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION f_closed FROM public, postgres;
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0'); CREATE AGGREGATE total_read(int) (SFUNC = int4pl, STYPE = int, FINALFUNC = int4abs); CREATE AGGREGATE total_lost(int) (SFUNC = int4pl, STYPE = int);
CREATE FUNCTION mood_of(int) RETURNS mood LANGUAGE sql AS $$ SELECT 'calm'::mood $$; CREATE CAST (int AS mood) WITH FUNCTION mood_of; CREATE CAST (mood AS int) WITH INOUT;
CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int); CREATE OPERATOR !=== (FUNCTION = int4ne, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR FAMILY numbers USING btree; ALTER OPERATOR FAMILY numbers USING btree ADD OPERATOR 1 < (int4, int2), OPERATOR 2 <= (int4, int2), FUNCTION 1 (int4, int2) btint42cmp(int4, int2), FUNCTION 1 (int2, int4) btint24cmp(int2, int4); CREATE OPERATOR FAMILY numbers_lost USING hash;
CREATE OPERATOR CLASS backwards FOR TYPE int USING btree FAMILY numbers AS FUNCTION 1 btint4cmp(int, int); CREATE OPERATOR FAMILY few USING hash; CREATE OPERATOR CLASS backwards_lost FOR TYPE int USING hash FAMILY few AS FUNCTION 1 hashint4(int);
CREATE COLLATION plain FROM "C"; CREATE COLLATION plain_lost FROM "C"; CREATE CONVERSION narrow FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; CREATE CONVERSION narrow_lost FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal)); CREATE TRANSFORM FOR int LANGUAGE plpgsql (FROM SQL WITH FUNCTION prsd_lextype(internal))`;

const OTHERS = `
CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER noted ON ddl_command_end WHEN TAG IN ('CREATE SERVER') EXECUTE FUNCTION noted(); CREATE EVENT TRIGGER noted_lost ON sql_drop WHEN TAG IN ('DROP SERVER') EXECUTE FUNCTION noted();
CREATE PUBLICATION p FOR TABLE t; CREATE PUBLICATION p_lost; CREATE PUBLICATION p_tables FOR TABLE t, parent;
CREATE FOREIGN DATA WRAPPER w OPTIONS (mode 'a'); CREATE FOREIGN DATA WRAPPER w_lost; GRANT USAGE ON FOREIGN DATA WRAPPER w TO clerk; CREATE SERVER far TYPE 'x' FOREIGN DATA WRAPPER w OPTIONS (host 'one'); CREATE SERVER far_lost FOREIGN DATA WRAPPER w; CREATE SERVER far_typed TYPE 'x' FOREIGN DATA WRAPPER w;
GRANT USAGE ON FOREIGN SERVER far TO clerk; CREATE USER MAPPING FOR clerk SERVER far OPTIONS (password 'secret one'); CREATE USER MAPPING FOR staff SERVER far; CREATE FOREIGN TABLE far_away (a int OPTIONS (column_name 'one')) SERVER far OPTIONS (table_name 'one'); CREATE FOREIGN TABLE far_away_lost () SERVER far;
CREATE LANGUAGE rough HANDLER plpgsql_call_handler; CREATE LANGUAGE rough_lost HANDLER plpgsql_call_handler; GRANT USAGE ON LANGUAGE plpgsql TO clerk; CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler; CREATE ACCESS METHOD heap_lost TYPE TABLE HANDLER heap_tableam_handler;
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple); CREATE TEXT SEARCH CONFIGURATION words_owned (COPY = simple); CREATE TEXT SEARCH TEMPLATE simplest (LEXIZE = dsimple_lexize, INIT = dsimple_init); CREATE TEXT SEARCH TEMPLATE simplest_lost (LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY short (TEMPLATE = simple, ACCEPT = false); CREATE TEXT SEARCH DICTIONARY short_lost (TEMPLATE = simple);
CREATE TEXT SEARCH PARSER letters (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype); CREATE TEXT SEARCH PARSER letters_lost (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
COMMENT ON TABLE t IS 'money'; COMMENT ON COLUMN of_columns.commented IS 'more'; INSERT INTO pg_seclabel SELECT oid, 'pg_class'::regclass, 0, 'dummy', 'closed' FROM pg_class WHERE relname IN ('t', 'parent');
SELECT lo_from_bytea(4711, 'x'); GRANT SELECT ON LARGE OBJECT 4711 TO clerk; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO clerk`;
const SINCE_15 = `CREATE PUBLICATION p_schemas FOR TABLES IN SCHEMA kept; GRANT SET ON PARAMETER work_mem TO clerk`;

/** Makes them on a server with logical WAL, and an empty database `other`; answers the server's version number. */
export async function createOneOfEach(server: Server): Promise<number> {
  await server.withClient('postgres', (client) => client.query('CREATE DATABASE other'));
  return server.withClient('postgres', async (client) => {
    const version = (await client.query<{ number: number }>(`SELECT current_setting('server_version_num')::int AS number`)).rows[0]?.number ?? 0;
    for (const sql of [SHARED, RELATIONS, TYPES_AND_FUNCTIONS, OTHERS, ...(version >= 150_000 ? [SINCE_15] : [])]) await client.query(sql);
    await client.query(`CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere password=secret1' PUBLICATION p WITH (connect = false, slot_name = NONE)`);
    return version;
  });
}

/** An identity that has `{an expression}` for a number that only the server knows. */
export async function identityOf(client: Client, template: string): Promise<string> {
  const expression = /\{(.*)\}/.exec(template)?.[1];
  if (expression === undefined) return template;
  const { rows: [row] } = await client.query<{ oid: number }>(`SELECT (${expression})::oid AS oid`);
  return template.replace(/\{.*\}/, String(row?.oid));
}
