import { z } from 'zod';
import { pricesSchema } from './costs.ts';
import { durationMs } from './duration.ts';

const identifier = z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,62}$/, 'an RDS identifier has letters, digits and hyphens, and begins with a letter');

/** Where an AWS account is reached. Credentials are those that the AWS SDK finds; `role` is assumed with them. */
export const awsAccessSchema = z.strictObject({
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region is written as in eu-central-1'),
  role: z.strictObject({ arn: z.string().regex(/^arn:[a-z-]+:iam::\d{12}:role\/.+$/, 'a role is written as in arn:aws:iam::123456789012:role/runbooks'), externalId: z.string().optional() }).optional(),
});
/** Without credentials; who is in the same region with the same role shares a client. */
export type AwsAccess = z.output<typeof awsAccessSchema>;

const copyToSchema = awsAccessSchema.extend({
  /** KMS key there that the copy is encrypted with; needed where the source is encrypted. */
  kmsKey: z.string().min(1).max(2048).optional(),
});

/** Snapshots that the runbook `database-snapshot` takes, keeps and removes. */
const snapshotsSchema = z.strictObject({
  /** One that is older is removed, as long as so many newer ones are kept. */
  retention: durationMs,
  keepAtLeast: z.int().min(1).default(3),
  /** Begins their names. */
  prefix: z.string().regex(/^[a-z](-?[a-z0-9]){0,59}$/, 'a prefix has small letters, digits and single hyphens, and begins with a letter').default('runbooks'),
  copyTo: z.array(copyToSchema).default([]).refine((all) => new Set(all.map(({ region, role }) => `${region} ${role?.arn.split(':')[4]}`)).size === all.length, 'two copies in the same region and account would have the same name'),
  /** The longest that making one, or a copy, may take. */
  patience: durationMs.default(12 * 3_600_000),
});
/** With its defaults; durations in milliseconds. */
export type SnapshotSettings = z.output<typeof snapshotsSchema>;

/** Of a copy, as RDS has it: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html. */
const storageSchema = z.strictObject({
  type: z.enum(['gp2', 'gp3', 'io1', 'io2', 'standard']),
  iops: z.int().min(1_000).optional(),
  /** In MiB a second. */
  throughput: z.int().min(125).optional(),
}).refine(({ type, iops }) => !type.startsWith('io') || iops !== undefined, 'io1 and io2 need iops')
  .refine(({ type, iops }) => iops === undefined || /^(io|gp3)/.test(type), 'iops can be chosen of io1, io2 and gp3 only')
  .refine(({ type, throughput }) => throughput === undefined || type === 'gp3', 'throughput can be chosen of gp3 only');

/**
 * A database that RDS keeps. Manifests are files, also here: RDS has none. A drill is put where nothing can be reached from it,
 * which is for you to prepare: subnets without a way out, security groups without a rule for what goes out.
 */
export const rdsProviderSchema = z.strictObject({
  kind: z.literal('rds'),
  instance: identifier,
  access: awsAccessSchema,
  /** Directory that holds manifests of this database. */
  repository: z.string(),
  drill: z.strictObject({
    /** Where drills are made, when that is not where the source is: in another region or account, from snapshots that were copied there or shared with it. */
    access: awsAccessSchema.optional(),
    subnetGroup: z.string().min(1),
    securityGroups: z.array(z.string().regex(/^sg-[0-9a-z]+$/, 'a security group is written as in sg-0123456789abcdef0')).min(1),
    /** What the copy runs on. Default: what the source runs on. */
    instanceClass: z.string().regex(/^db\.[a-z0-9.-]+$/).optional(),
    /** What the copy is stored on. Default: what the source is stored on. */
    storage: storageSchema.optional(),
    /** Libraries that the copy may load (`shared_preload_libraries`), beside those that RDS loads by itself. */
    preloadLibraries: z.array(z.string().regex(/^[a-z0-9_]+$/, 'a library is written as in pg_cron')).default([]),
    /** The longest that making it available may take. */
    patience: durationMs.default(4 * 3_600_000),
    /** By these a drill's costs are reckoned. Without them they are not known. */
    prices: pricesSchema.optional(),
    /** A secret from which the password of each copy is made: all workers need the same. */
    passwordKeyFile: z.string(),
  }),
  /** Left out: the runbook `database-snapshot` takes none of this database. */
  snapshots: snapshotsSchema.optional(),
  /** What `latest` is: the last second that RDS can restore, or the newest snapshot. */
  latest: z.enum(['pointInTime', 'snapshot']).default('pointInTime'),
  /** How far back `random` goes from the declaration. Default: to the first that can be restored. */
  randomWithin: durationMs.refine((ms) => ms > 0, 'leaves nothing to draw from').optional(),
  /** Where RDS tells of what happens to instances: a queue of SQS, in the region and account where drills are made and read with what makes them (`drill.access`, or else `access`), that several drills may share. Without it, waits look by themselves. */
  events: z.strictObject({ queueUrl: z.string().regex(/^https?:\/\/[A-Za-z0-9.-]+(:\d+)?\/\d{12}\/[A-Za-z0-9_-]{1,80}$/, 'a queue is written as in https://sqs.eu-central-1.amazonaws.com/123456789012/rds-events') }).optional(),
  /** How often a wait looks where no earlier one is known. */
  lookEvery: durationMs.default(30_000),
});
/** With its defaults; durations in milliseconds. `passwordKeyFile` is a path, never the secret. */
export type RdsProvider = z.output<typeof rdsProviderSchema>;
