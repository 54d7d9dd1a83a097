/** Makes the type `slow`, of which each value takes so many seconds to be read, but none to be skipped. */
export function createSlowType(seconds: number): string {
  return `
  CREATE TYPE slow;
  CREATE FUNCTION slow_in(cstring) RETURNS slow IMMUTABLE STRICT LANGUAGE internal AS 'textin';
  CREATE FUNCTION slow_out(slow) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
  CREATE TYPE slow (INPUT = slow_in, OUTPUT = slow_out, LIKE = text);
  CREATE FUNCTION slow_send(slow) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(${seconds}); RETURN ''; END $$;
  ALTER TYPE slow SET (SEND = slow_send);`;
}

/** Makes a table `endless` of one row, which takes ten minutes to be read. */
export const CREATE_ENDLESS_TABLE = `${createSlowType(600)}
  CREATE TABLE endless (v slow); INSERT INTO endless VALUES ('x')`;
