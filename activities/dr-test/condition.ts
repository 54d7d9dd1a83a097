import { sqlState } from '../manifest/errors.ts';

/** PostgreSQL's own names of what a bad restore, or a mistake, most often looks like. */
const CONDITIONS: Readonly<Record<string, string>> = {
  '21000': 'cardinality violation', '22007': 'invalid datetime format', '22008': 'datetime field overflow', '22012': 'division by zero', '22P02': 'invalid text representation', '25006': 'it may only read',
  '3D000': 'no such database', '3F000': 'invalid schema name', '42501': 'insufficient privilege', '42601': 'syntax error', '42703': 'undefined column', '42704': 'undefined object', '42804': 'datatype mismatch', '42883': 'undefined function',
  '42P01': 'undefined table', '28000': 'invalid authorization', '28P01': 'invalid password', '53300': 'too many connections', '57P03': 'cannot connect now', 'XX000': 'internal error', 'XX001': 'data corrupted', 'XX002': 'index corrupted',
};

/** What PostgreSQL refused a query on users' data for: SQLSTATE and its name. Its message is not passed on, since that may hold values of rows. */
export function conditionOf(error: unknown): string {
  const code = sqlState(error);
  const name = CONDITIONS[code];
  return name === undefined ? code : `${code}, ${name}`;
}
