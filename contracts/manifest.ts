import { z } from 'zod';

/**
 * What a cluster held at one exact log position per database, small enough to keep beside its backup and safe to
 * show: it holds no row values except the bounds of keys whose type is an integer, a date or a timestamp.
 */

const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/, 'a log position looks like 0/3000148');
/** An exact sum of 64-bit hashes, as a decimal number: it does not fit a JavaScript number. */
const fingerprint = z.string().regex(/^-?\d+$/);
/** 64 bits of it, as a decimal number: it does not fit a JavaScript number. */
const transactionNumber = z.string().regex(/^\d+$/);

/** Something that was not, or could not be, compared. The run never claims more than it did. */
export const notVerifiedSchema = z.object({
  database: z.string().nullable(),
  what: z.string(),
  why: z.string(),
  /** True where no tool could compare it (unlogged tables): it does not make a drill `notProven`. */
  byDesign: z.boolean(),
});
/** In the manifest and in results of comparisons; each becomes a sentence in the evidence. */
export type NotVerified = z.infer<typeof notVerifiedSchema>;

/** A range of pages of one table: `fromPage` included, `toPage` excluded, null = to the end. */
export const bucketSchema = z.object({
  fromPage: z.number().int().nonnegative(),
  toPage: z.number().int().positive().nullable(),
  rows: z.number().int().nonnegative(),
  fingerprint,
  keyFrom: z.string().nullable(),
  keyTo: z.string().nullable(),
});
/** Rows are held against each other by bucket, so that a difference is found in a part of the table. */
export type Bucket = z.infer<typeof bucketSchema>;

/** What a table held: its rows counted, and added up to a fingerprint that the order of rows does not change. */
export const tableManifestSchema = z.object({
  schema: z.string(),
  name: z.string(),
  rows: z.number().int().nonnegative(),
  fingerprint,
  /** Hash of the expression that made the fingerprint: two fingerprints compare only when it is equal. */
  method: z.string(),
  /** False where the fingerprint holds object ids, which a physical restore keeps and a dump does not. */
  portable: z.boolean(),
  bytes: z.number().int().nonnegative(),
  /** Column whose bounds the buckets name; null when there is no key of a harmless type. */
  keyColumn: z.string().nullable(),
  buckets: z.array(bucketSchema).min(1),
  /** By which it is known under another name. Older manifests do not say. */
  oid: z.number().int().positive().optional(),
  /** Which file it had: TRUNCATE and whatever writes all rows anew give it another one. Older manifests do not say. */
  filenode: z.string().optional(),
});
/** Its buckets stand side by side in the order of pages, and the last one is open to the end. */
export type TableManifest = z.infer<typeof tableManifestSchema>;

/**
 * Where a sequence was. No snapshot holds for sequences: hence bounds, and no values.
 * Numbers are decimal text, since they have 64 bits.
 */
export const sequenceManifestSchema = z.object({
  schema: z.string(),
  name: z.string(),
  ascending: z.boolean(),
  cycles: z.boolean(),
  /** The value that the next call would have given before the log position; null when in each attempt it was made, restarted or set back just then. */
  nextAtLeast: z.string().nullable(),
  /** The furthest value in the owning column at the log position. */
  ownerFurthest: z.string().nullable(),
  owner: z.string().nullable(),
  /** The source itself was behind its column: no restore can be blamed for that. Null where that is not known: around the log position it was restarted, locked, or moved beyond the column. */
  sourceBehind: z.boolean().nullable(),
  /** By which it is known under another name. Older manifests do not say. */
  oid: z.number().int().positive().optional(),
  /** Which file it had: RESTART gives it another one, `setval` does not. Older manifests do not say. */
  filenode: z.string().optional(),
});
/** `owner`: column that takes its values, as `schema.table.column`; null where it has none. */
export type SequenceManifest = z.infer<typeof sequenceManifestSchema>;

/** One object of the catalog: what kind, which, and a short hash of its definition. */
export const catalogObjectSchema = z.tuple([z.string(), z.string(), z.string()]);
/** The hash alone tells that a definition is another one, and not what it is. */
export type CatalogObject = z.infer<typeof catalogObjectSchema>;

/** One database of the cluster at its own log position. Each has one, since no snapshot reaches over several. */
export const databaseManifestSchema = z.object({
  database: z.string(),
  /** By which it is known under another name. Older manifests do not say. */
  oid: z.number().int().positive().optional(),
  lsn,
  /**
   * Of the transactions of the cluster, by their 64-bit numbers: at this position all of a lower number than `finishedBelow` were over,
   * and none of a number from `begunBelow` on had been committed. Older manifests do not say.
   */
  transactions: z.object({ finishedBelow: transactionNumber, begunBelow: transactionNumber }).optional(),
  takenAt: z.iso.datetime(),
  /** By the source's clock, by which commits are stamped, and which a managed service restores an instant by: all that the manifest has was committed by then. Older manifests do not say. */
  takenAtBySource: z.iso.datetime().optional(),
  tables: z.array(tableManifestSchema),
  sequences: z.array(sequenceManifestSchema),
  catalog: z.array(catalogObjectSchema),
  /** Which secrets of the catalog the role that read could see there; others are not compared. Older manifests do not say. */
  mayRead: z.object({ passwords: z.boolean(), subscriptions: z.boolean() }).optional(),
});
/** Fields that older manifests do not have are absent, and what needs them is not compared. */
export type DatabaseManifest = z.infer<typeof databaseManifestSchema>;

/**
 * What taking it cost production. `longestLockMs`: others may have waited for so long;
 * `longestSnapshotMs`: vacuum removed nothing for so long.
 */
export const manifestCostSchema = z.object({
  durationMs: z.number(),
  attempts: z.number().int(),
  /** Why attempts were repeated, such as "public.orders was truncated or rewritten". */
  restarts: z.array(z.string()),
  longestLockMs: z.number(),
  longestSnapshotMs: z.number(),
  bytesRead: z.number(),
  walRetainedBytes: z.number(),
});
/** Measured by whoever reads; it grows over all attempts, and `longest…` is that of the worst. */
export type ManifestCost = z.infer<typeof manifestCostSchema>;

/** A manifest as a file. It lies where others may write: it counts only once its form, and the hash that was kept of it, are checked. */
export const manifestSchema = z.object({
  schemaVersion: z.literal(1),
  systemIdentifier: z.string(),
  serverVersionNum: z.number().int(),
  timeline: z.number().int(),
  /** Makes digests of password verifiers useless to anybody who has only the manifest. */
  salt: z.string(),
  /** One log position per database, in ascending order. */
  databases: z.array(databaseManifestSchema).min(1),
  /** Hash of the queries that read `catalog` and `globals`: hashes of definitions compare only when it is equal. Older manifests have none. */
  catalogMethod: z.string().optional(),
  /** Roles, memberships, settings, databases and tablespaces, at the position of the first database. */
  globals: z.array(catalogObjectSchema),
  preparedTransactions: z.array(z.object({ gid: z.string(), database: z.string(), preparedAt: z.iso.datetime() })),
  notVerified: z.array(notVerifiedSchema),
  cost: manifestCostSchema,
});
/** All databases of one cluster, each at its own position: a restore is stopped at one after the other. */
export type Manifest = z.infer<typeof manifestSchema>;

const change = z.enum(['missing', 'unexpected', 'changed']);

/** One difference between a manifest and a restored copy, named so that a person can go and look. */
export const differenceSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('rows'),
    table: z.string(),
    rowsExpected: z.number(),
    rowsFound: z.number(),
    buckets: z.array(z.object({
      fromPage: z.number(), toPage: z.number().nullable(),
      keyColumn: z.string().nullable(), keyFrom: z.string().nullable(), keyTo: z.string().nullable(),
      rowsExpected: z.number(), rowsFound: z.number(),
    })),
  }),
  z.object({ kind: z.literal('unreadable'), table: z.string(), code: z.string(), message: z.string(), fromPage: z.number(), toPage: z.number().nullable() }),
  z.object({ kind: z.literal('catalog'), object: z.string(), identity: z.string(), change }),
  z.object({ kind: z.literal('sequence'), sequence: z.string(), problem: z.enum(['missing', 'unreadable', 'unlogged', 'behindItself', 'behindTable']), expectedAtLeast: z.string().nullable(), found: z.string().nullable(), code: z.string().optional() }),
]);
/** Without values of rows: tables, pages, bounds of keys of harmless types, and codes of errors. */
export type Difference = z.infer<typeof differenceSchema>;

/**
 * What comparing one database of a copy with its manifest found. `equal` says that of what was compared nothing
 * differs; what was not compared is in `notVerified`.
 */
export const comparisonResultSchema = z.object({
  database: z.string(),
  lsn,
  depth: z.enum(['quick', 'standard']),
  equal: z.boolean(),
  differences: z.array(differenceSchema),
  notVerified: z.array(notVerifiedSchema),
  compared: z.object({ tables: z.number(), rows: z.number(), bytes: z.number(), buckets: z.number(), catalogObjects: z.number(), sequences: z.number() }),
  /** Tables of which no more than the number of rows was compared. */
  counted: z.object({ tables: z.number(), rows: z.number() }),
  /** Where the copy is of a later instant than the manifest: how many of its rows were compared with what. See `activities/manifest/since`. */
  coverage: z.object({
    /** In ranges of pages that hold what they held at the manifest, to the last bit. */
    byManifest: z.number(),
    /** In other ranges: versions of rows that the source still has. */
    bySource: z.number(),
    /** Versions of rows that the source has changed or deleted since. Nothing is said of them. */
    changedSince: z.number(),
    /** Of tables that can be held against neither, as after a rewrite, or where the source does not answer. */
    unknown: z.number(),
  }).optional(),
  /** With `coverage`: tables with rows of which not one was compared. */
  uncompared: z.array(z.object({ table: z.string(), rows: z.number() })).optional(),
  /** With `coverage`: of the manifest. */
  takenAt: z.iso.datetime().optional(),
  /** Prepared transactions that the copy still holds: they keep locks and must be resolved before use. */
  preparedTransactions: z.array(z.string()),
  durationMs: z.number(),
});
/** With `depth` `quick`, rows were counted only: `counted` says how many, and `compared` has none of them. */
export type ComparisonResult = z.infer<typeof comparisonResultSchema>;
