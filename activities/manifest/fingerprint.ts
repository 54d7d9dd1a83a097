import { areOfTheirTypes } from './only-if.ts';

/** What is known of a column, as read from the catalog under the snapshot. */
export interface Column {
  name: string;
  /** Position among the columns that exist: part of the fingerprint, so that two columns cannot trade places. */
  position: number;
  /** Name in pg_catalog of the type underneath all domains; '' when it is in another schema. */
  builtin: string;
  /** `schema.name` of the type underneath all domains, quoted. */
  baseType: string;
  isDomain: boolean;
  /** b base, e enum, c composite, r range, m multirange */
  typeKind: string;
  /** Quoted and qualified; null when the type, or one within it (an element, a field), has none, or one that takes another type. */
  sendFunction: string | null;
  /** That function takes any type of a kind, as array_send does. */
  sendsAny: boolean;
  /** The binary form holds object ids of types that users made. */
  sendsUserOids: boolean;
}

/** Types whose own hash tells any two different values apart before it shortens them to 64 bits. */
const nativeHash: Readonly<Record<string, string>> = {
  bool: 'hashboolextended', char: 'hashcharextended', int2: 'hashint2extended', int4: 'hashint4extended', oid: 'hashoidextended',
  date: 'hashdateextended', uuid: 'uuid_hash_extended', macaddr: 'hashmacaddrextended', macaddr8: 'hashmacaddr8extended', inet: 'hashinetextended',
};

/**
 * An SQL expression for the fingerprint of one row: a 64-bit integer, never NULL.
 *
 * Each column is hashed with its own seed, the hashes are combined by XOR and finished by a function that is not
 * linear. Without the last step a sum over rows would not notice that two rows traded the values of one column
 * (which is also what `hash_record_extended` alone does: it combines as 31 * h + …).
 * @param alias quoted name of the table in the query
 */
export function rowHash(columns: readonly Column[], quote: (name: string) => string, serverVersionNum: number): { sql: string; portable: boolean } {
  if (columns.length === 0) return { sql: '0::int8', portable: true };
  const parts = columns.map((column) => `coalesce(${columnHash(column, quote(column.name), serverVersionNum)}, ${nullHash(column.position)})`);
  return {
    // The value goes in as the seed: hashint8extended would shorten it to 32 bits first.
    sql: `hashint4extended(0, ${parts.join(' # ')})`,
    portable: columns.every((column) => !column.sendsUserOids),
  };
}

/** What must be so of the columns, in SQL, for the expression of {@link rowHash} to run no function of users; undefined where nothing need be. */
export function typeCondition(columns: readonly Column[], quote: (name: string) => string, serverVersionNum: number): string | undefined {
  return areOfTheirTypes(columns.filter((column) => takesItsTypeOnly(column, serverVersionNum)).map((column) => ({ column: quote(column.name), type: column.baseType })));
}

/** Date and boolean have hash functions of their own from 18 on only. */
function nativeHashOf({ builtin }: Column, serverVersionNum: number): string | undefined {
  return serverVersionNum < 180000 && /^(date|bool)$/.test(builtin) ? undefined : nativeHash[builtin];
}

/** Of these two the type says that they are no arrays, and the functions for arrays that they are. */
const VECTORS: readonly string[] = ['oidvector', 'int2vector'];
const AS_THEY_ARE: readonly string[] = ['int8', 'text', 'varchar', 'json', 'xml', 'bytea'];

/** Whether what is called with the value takes PostgreSQL's own type of the column, and so whatever can be cast to it. */
function takesItsTypeOnly(column: Column, serverVersionNum: number): boolean {
  if (column.builtin === '' || VECTORS.includes(column.builtin)) return false;
  return nativeHashOf(column, serverVersionNum) !== undefined || AS_THEY_ARE.includes(column.builtin)
    || (!column.sendsAny && column.sendFunction?.startsWith('pg_catalog.') === true);
}

function columnHash(column: Column, quoted: string, serverVersionNum: number): string {
  return takesItsTypeOnly(column, serverVersionNum) ? hashOfOwnType(column, quoted, serverVersionNum) : hashOfAnyType(column, quoted, serverVersionNum);
}

/** Of a type of PostgreSQL's own, by functions for that type; see {@link typeCondition}. */
function hashOfOwnType(column: Column, quoted: string, serverVersionNum: number): string {
  const seed = column.position;
  const value = column.isDomain ? `${quoted}::${column.baseType}` : quoted;
  const native = nativeHashOf(column, serverVersionNum);
  if (native) return `${native}(${value}, ${seed})`;
  switch (column.builtin) {
    case 'int8':
      // hashint8 folds the halves by XOR, so 1 and 4294967296 collide; the upper half as the seed tells them apart.
      return `hashint8extended(${value}, hashint4extended((${value} >> 32)::int4, ${seed}))`;
    case 'text': case 'varchar': case 'json': case 'xml':
      return `hashtextextended(${value}::text COLLATE "C", ${seed})`;
    case 'bytea':
      return byteaHash(value, seed, serverVersionNum);
    default:
      // float8send and numeric_send keep -0 and the scale; bpcharsend keeps blanks.
      return byteaHash(`${column.sendFunction}(${value})`, seed, serverVersionNum);
  }
}

/**
 * Of a type that users or extensions made, or that has no functions of its own to be called with. No function and no type
 * is named that others may replace, and nothing is cast: a cast of users is code of theirs, and may leave out of a value what it likes.
 */
function hashOfAnyType(column: Column, quoted: string, serverVersionNum: number): string {
  const seed = column.position;
  if (column.builtin === '_aclitem') return `hash_array_extended(${quoted}, ${seed})`;
  // What is said of nothing is nothing, and not an empty text. A composite value is something, whatever is in it.
  const ofValue = (said: string): string => `CASE WHEN num_nonnulls(${quoted}) > 0 THEN ${said} END`;
  // By the output function of the type.
  if (column.sendFunction === null) return ofValue(`hashtextextended(format('%s', ${quoted}) COLLATE "C", ${seed})`);
  if (VECTORS.includes(column.builtin)) return byteaHash(`array_send(${quoted})`, seed, serverVersionNum);
  // enum_send is the label; of a domain it takes none.
  const isDomainOverEnum = column.isDomain && column.typeKind === 'e';
  if (column.sendsAny && !isDomainOverEnum) return byteaHash(`${column.sendFunction}(${quoted})`, seed, serverVersionNum);
  // By the send function of the type. The number of columns, its type and its length come before it.
  return byteaHash(ofValue(`substr(record_send(row(${quoted})), 13)`), seed, serverVersionNum);
}

function byteaHash(value: string, seed: number, serverVersionNum: number): string {
  // hashbyteaextended is new in 18. A record of NULL is not NULL: harmless, it is still a value of its own.
  return serverVersionNum >= 180000 ? `hashbyteaextended(${value}, ${seed})` : `hash_record_extended(row(${value}), ${seed})`;
}

/** What a NULL counts as: differs by position, and a real value meets it once in 2^64. */
function nullHash(position: number): string {
  return `${BigInt.asIntN(64, BigInt(position) * 0x9E3779B97F4A7C15n)}::int8`;
}
