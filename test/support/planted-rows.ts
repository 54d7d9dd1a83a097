import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import type { Planted } from './secret-forms.ts';

/** A text that nothing else on this host holds. */
export const unmistakable = (): string => `Zq${randomBytes(12).toString('hex')}`;
const longNumber = (): string => Array.from({ length: 18 }, () => randomInt(1, 10)).join('');

/** Integer keys are the one thing of a row that reports may show: they say where a difference is. */
export const SHOWN_KEYS = { from: 471_100_001, to: 471_100_042 } as const;

/** Values of rows of every kind, keys among them, and secrets that the catalog keeps. */
export interface PlantedRows { planted: Planted[]; tables: string[] }

/** Makes tables in the schema `planted` whose rows cannot be mistaken, a large object, and objects that have secrets. Leaves nothing for a reader to write. */
export async function plantRows(client: Client): Promise<PlantedRows> {
  const body = unmistakable();
  const [doc, tag, pair, huge, name, mail, first, listed] = Array.from({ length: 8 }, unmistakable) as [string, string, string, string, string, string, string, string];
  const [bin, large] = [randomBytes(24), randomBytes(24)];
  const [count, amount, uuid] = [longNumber(), longNumber(), randomUUID()];
  const [role, mapping, calls, setting] = [unmistakable(), unmistakable(), unmistakable(), unmistakable()];
  const text = (value: string) => client.escapeLiteral(value);
  const bytes = (value: Buffer) => `'\\x${value.toString('hex')}'`;
  await client.query(`
    CREATE SCHEMA planted;
    CREATE TYPE planted.pair AS (number int, word text);
    CREATE TABLE planted.letters (id int PRIMARY KEY, body text, doc jsonb, bin bytea, tags text[], pair planted.pair, count bigint, huge text, made text GENERATED ALWAYS AS (reverse(body)) STORED);
    ALTER TABLE planted.letters ALTER huge SET STORAGE EXTERNAL;
    INSERT INTO planted.letters VALUES (${SHOWN_KEYS.from}, ${text(body)}, jsonb_build_object('at', ${text(doc)}), ${bytes(bin)}, ARRAY[${text(tag)}], ROW(1, ${text(pair)}), ${count}, repeat('-', 5000) || ${text(huge)});
    INSERT INTO planted.letters SELECT i, 'x' FROM generate_series(${SHOWN_KEYS.from + 1}, ${SHOWN_KEYS.to}) i;
    CREATE TABLE planted.by_name (name text PRIMARY KEY); INSERT INTO planted.by_name VALUES (${text(name)});
    CREATE TABLE planted.by_mail (id int, mail text NOT NULL UNIQUE); INSERT INTO planted.by_mail VALUES (1, ${text(mail)});
    CREATE TABLE planted.by_two (name text, number int, PRIMARY KEY (name, number)); INSERT INTO planted.by_two VALUES (${text(first)}, 1);
    CREATE TABLE planted.by_uuid (id uuid PRIMARY KEY); INSERT INTO planted.by_uuid VALUES ('${uuid}');
    CREATE TABLE planted.by_amount (amount numeric PRIMARY KEY); INSERT INTO planted.by_amount VALUES (${amount});
    CREATE TABLE planted.by_list (kind text PRIMARY KEY) PARTITION BY HASH (kind);
    CREATE TABLE planted.by_list_1 PARTITION OF planted.by_list FOR VALUES WITH (MODULUS 1, REMAINDER 0); INSERT INTO planted.by_list VALUES (${text(listed)});
    CREATE MATERIALIZED VIEW planted.seen AS SELECT body, made FROM planted.letters;
    CREATE TABLE planted.beats (beat timestamptz); INSERT INTO planted.beats VALUES (now());
    SELECT lo_from_bytea(0, ${bytes(large)});
    CREATE FUNCTION planted.says() RETURNS int LANGUAGE plpgsql AS $$ DECLARE said text; BEGIN
      SELECT body INTO said FROM planted.letters ORDER BY id LIMIT 1;
      RAISE EXCEPTION 'found %', said USING DETAIL = said, HINT = said; END $$;
    CREATE ROLE planted_role LOGIN PASSWORD ${text(role)};
    ALTER ROLE planted_role SET planted.key = ${text(setting)};
    CREATE FOREIGN DATA WRAPPER planted_wrapper;
    CREATE SERVER planted_server FOREIGN DATA WRAPPER planted_wrapper;
    CREATE USER MAPPING FOR planted_role SERVER planted_server OPTIONS (password ${text(mapping)});
    CREATE SUBSCRIPTION planted_calls CONNECTION ${text(`host=127.0.0.1 port=1 password=${calls}`)} PUBLICATION nothing WITH (connect = false, slot_name = NONE);`);
  const { rows } = await client.query<{ verifier: string }>(`SELECT rolpassword AS verifier FROM pg_authid WHERE rolname IN ('planted_role', current_user) ORDER BY rolname <> 'planted_role'`);
  // A reader of rows that nobody read before writes to their pages, and recovery would put back what a test damages there.
  await client.query('VACUUM (FREEZE, ANALYZE)');
  await client.query('CHECKPOINT');
  const planted: Planted[] = [
    ...Object.entries({ text: body, generated: Buffer.from(body).reverse().toString(), jsonb: doc, array: tag, composite: pair, bigint: count, 'long text': huge, 'text key': name, 'unique text': mail, 'first of two key columns': first, 'key of a partition': listed, uuid, numeric: amount })
      .map(([kind, value]) => ({ name: `row value (${kind})`, value })),
    { name: 'row value (bytea)', value: bin }, { name: 'row value (large object)', value: large }, { name: 'row value (uuid, bytes)', value: Buffer.from(uuid.replaceAll('-', ''), 'hex') },
    ...Object.entries({ 'password of a role': role, 'password of a user mapping': mapping, 'password of a subscription': calls, 'setting of a role': setting }).map(([what, value]) => ({ name: what, value })),
    ...rows.map(({ verifier }, index) => ({ name: `verifier of a password (${index})`, value: verifier })),
  ];
  return { planted, tables: ['by_name', 'by_mail', 'by_two', 'by_uuid', 'by_amount', 'by_list_1', 'seen', 'letters'] };
}
