/** SQL: types (`whole`) and those (`oid`) whose values are within values of theirs: of arrays, domains, composite types, ranges. Tables only, which obey the snapshot. */
export const PARTS_OF_TYPES = `
  SELECT oid AS whole, typelem AS oid FROM pg_type WHERE typcategory = 'A' AND typelem <> 0
  UNION ALL SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
  UNION ALL SELECT t.oid, a.atttypid FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid WHERE t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL SELECT rngtypid, rngsubtype FROM pg_range
  UNION ALL SELECT rngmultitypid, rngtypid FROM pg_range`;
