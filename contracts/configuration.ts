import { z } from 'zod';
import { drillSettingsSchema } from './drill-settings.ts';
import { durationMs, sizeBytes, timeoutMs } from './duration.ts';
import { evidenceCopySchema, localDirectory } from './evidence-copies.ts';
import { gatePolicySchema, type GatePolicy } from './gate.ts';
import { channelSchema, MOST_CHANNELS } from './notification.ts';
import { groupsSchema, membersOf, normalName, peopleSchema, personOf, type Groups, type People } from './people.ts';
import { rdsProviderSchema } from './rds.ts';
import { HOST_NAME } from './search-attributes.ts';

/** How to connect. Secrets are references: a file or the name of an environment variable, never the value. */
export const connectionSchema = z.strictObject({
  host: z.string().default('localhost'),
  port: z.number().int().min(1).max(65535).default(5432),
  database: z.string().default('postgres'),
  user: z.string().default('postgres'),
  passwordFile: z.string().optional(),
  passwordEnv: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/).optional(),
  sslmode: z.enum(['disable', 'require', 'verify-full']).default('disable'),
}).refine((value) => value.passwordFile === undefined || value.passwordEnv === undefined, { path: ['passwordEnv'], message: 'the password comes from passwordFile or from passwordEnv, not from both; remove one' });
/** With its defaults; whether the file or the variable of the password exists is found out when somebody connects. */
export type ConnectionSettings = z.output<typeof connectionSchema>;

const archiveProviderSchema = z.strictObject({
  kind: z.literal('archive'),
  /** Directory that holds `backups/` and `incoming/` of this database. */
  repository: z.string(),
  /** Directory that `archive_command` writes to. */
  walDirectory: z.string(),
});

/** A database of which base backups and archived WAL lie in directories, as the worker of its host sees them. */
export type ArchiveProvider = z.output<typeof archiveProviderSchema>;

/** What is said of a number that YAML reads otherwise than PostgreSQL writes it: 1234.50 becomes 1234.5. */
export const NUMBER_AS_WRITTEN = 'put it in quotes, as PostgreSQL writes it: this number is read as another text';

/** A query of your own that a drill is asked, in `database` or else the one that `connection` names, and what it must answer. */
export const checkSettingSchema = z.strictObject({
  name: z.string().min(1),
  database: z.string().optional(),
  sql: z.string().min(1),
  /** The text of the first column of the first row. */
  expect: z.union([z.string(), z.number().refine(Number.isSafeInteger, NUMBER_AS_WRITTEN).transform(String), z.boolean().transform(String)]),
});
/** `expect` is text here, also where the file has a number or a boolean. */
export type CheckSetting = z.output<typeof checkSettingSchema>;

/**
 * How to find out whether the application works with the copy: by a command that ends with 0, or by an address that answers with
 * success. `timeout` is in milliseconds once it is read.
 */
export const probeSchema = z.union([
  z.strictObject({ command: z.array(z.string()).min(1), timeout: timeoutMs.default(60_000), user: z.string().optional(), database: z.string().optional() }),
  /** `{DATABASE_URL}` in it stands for the address of the copy. */
  z.strictObject({ url: z.url().refine((url) => { if (!URL.canParse(url)) return true; const { username, password } = new URL(url); return username === '' && password === ''; }, 'leave user and password out of the URL: no request can be made with them, and the plan shows it to everybody'), timeout: timeoutMs.default(60_000), user: z.string().optional(), database: z.string().optional() }),
]);
/** With its defaults; a command and its arguments are passed on as they are, and no shell reads them. */
export type ProbeSetting = z.output<typeof probeSchema>;

const manifestLimitsSchema = z.strictObject({
  connections: z.number().int().min(1).max(32).default(1),
  statementTimeout: timeoutMs.default(10 * 60_000),
  lockTimeout: timeoutMs.default(2_000),
  /** How long others may wait for a lock that the reading has; then it gives way to them. */
  maxBlocking: timeoutMs.default(5_000),
  maxXminAge: durationMs.default(30 * 60_000),
  maxRetainedWal: sizeBytes.default(8 * 2 ** 30),
  /** Share of time spent reading; below 1 it pauses after each megabyte and spares production, as long as half of `maxXminAge` suffices. */
  dutyCycle: z.number().gt(0).max(1).default(0.04),
});

const objectivesSchema = z.strictObject({
  rto: durationMs.optional(),
  rpo: durationMs.optional(),
  /** Which RTA is held against the RTO. */
  rtaIs: z.enum(['total', 'withoutWait', 'withoutComparison']).default('withoutWait'),
  failWhenMissed: z.boolean().default(false),
});
/** RTO and RPO in milliseconds; absent where none was set, and nothing is held against them then. */
export type Objectives = z.output<typeof objectivesSchema>;

/** A target: how its database is reached, what backs it up, and what every runbook on it has to keep to. */
export const databaseSchema = z.strictObject({
  connection: connectionSchema,
  /** Host whose worker reads and writes this database's files, as it calls itself in task queues. Without it, the host that plans. */
  host: z.string().regex(HOST_NAME, 'use letters, digits, dots, _ and -, as in a host\'s name').optional(),
  provider: z.discriminatedUnion('kind', [archiveProviderSchema, rdsProviderSchema]),
  manifest: manifestLimitsSchema.prefault({}),
  objectives: objectivesSchema.prefault({}),
  gates: z.record(z.string(), gatePolicySchema).default({}),
  /** A step that fails waits this long for an operator, who retries it, skips it or aborts. Without it the run fails at once. */
  failedSteps: z.strictObject({ wait: durationMs }).optional(),
  checks: z.array(checkSettingSchema).default([]),
  probe: probeSchema.optional(),
  /** A table that something writes the time to: a second account of what was lost. `every`: the longest time between two beats. */
  heartbeat: z.strictObject({ table: z.string(), column: z.string(), database: z.string().optional(), every: durationMs.default(5_000) }).optional(),
  /** Let a run succeed although something could not be compared. */
  allowNotProven: z.boolean().default(false),
});
/** With its defaults; durations in milliseconds, sizes in bytes. */
export type DatabaseSettings = z.output<typeof databaseSchema>;
/** Where a heartbeat's table is, for a database that has one; `every` in milliseconds. */
export type HeartbeatSetting = NonNullable<DatabaseSettings['heartbeat']>;

interface GatesSide { groups: Groups; people: People; approvals: { allowedSigners?: string | undefined }; notifications: { channels: Record<string, unknown>; alarm: string[] }; databases: Record<string, { gates: Record<string, GatePolicy> }> }

/** What only shows when gates, people, groups and channels are seen together. */
function mistakesOfGates({ groups, people, approvals, notifications, databases }: GatesSide): { path: (string | number)[]; message: string }[] {
  const mistakes: { path: (string | number)[]; message: string }[] = [];
  const named = new Map<string, string>();
  for (const [person, { aliases }] of Object.entries(people)) {
    for (const name of [person, ...aliases]) {
      const other = named.get(normalName(name));
      if (other !== undefined && other !== person) mistakes.push({ path: ['people', person], message: `"${name}" is also a name of ${other}; one name is one person's` });
      named.set(normalName(name), person);
    }
  }
  const channelsOf = (names: readonly string[], path: (string | number)[]) => {
    for (const [index, name] of names.entries()) if (!Object.hasOwn(notifications.channels, name)) mistakes.push({ path: [...path, index], message: `there is no channel "${name}" under notifications.channels` });
  };
  channelsOf(notifications.alarm, ['notifications', 'alarm']);
  for (const [database, { gates }] of Object.entries(databases)) {
    for (const [gate, policy] of Object.entries(gates)) {
      const at = ['databases', database, 'gates', gate];
      const lists = [{ names: policy.approvers, path: [...at, 'approvers'] }, ...policy.escalation.map(({ approvers }, index) => ({ names: approvers, path: [...at, 'escalation', index, 'approvers'] }))];
      const everybody = new Set<string>();
      for (const { names, path } of lists) {
        const { members, unknown } = membersOf(names, groups);
        for (const member of members) everybody.add(personOf(member, people));
        for (const group of unknown) mistakes.push({ path, message: `there is no group "${group.slice(1)}" under groups` });
      }
      if (policy.approvers.length > 0 && policy.quorum > everybody.size) mistakes.push({ path: [...at, 'quorum'], message: `asks for more approvals than there are approvers (${everybody.size}); the gate could only expire` });
      if (policy.approvers.length > 0 && policy.rejections > everybody.size) mistakes.push({ path: [...at, 'rejections'], message: `asks for more rejections than there are approvers (${everybody.size}); nobody could reject` });
      if (policy.assurance === 'signature' && approvals.allowedSigners === undefined) mistakes.push({ path: [...at, 'assurance'], message: 'asks for signatures, and approvals.allowedSigners names no file that lists whose count' });
      channelsOf(policy.notify, [...at, 'notify']);
      for (const [index, { notify }] of policy.escalation.entries()) channelsOf(notify, [...at, 'escalation', index, 'notify']);
    }
  }
  return mistakes;
}

/** What holds a target, and what waits for a host, does so for ten years at most: dates that are farther away are none. */
const leaseMs = durationMs.refine((ms) => ms <= 3_650 * 86_400_000, 'is longer than ten years; write a shorter one');

/** `runbooks.yaml`. */
export const configurationSchema = z.strictObject({
  version: z.literal(1),
  evidence: z.strictObject({
      directory: localDirectory('name an object store under evidence.copies').default('./evidence'),
      /** File of a private Ed25519 key in PEM: the worker signs evidence with it. */
      signingKey: z.string().optional(),
      /** Where evidence and reports are copied to, each file once. */
      copies: z.array(evidenceCopySchema).default([]),
  }).prefault({}),
  drills: z.strictObject({
      directory: z.string().default('/var/tmp/durable-runbooks/drills'),
      /** Space of the file system that neither a drill nor a backup ever takes. */
      reserve: sizeBytes.default(2 ** 30),
      copyBytesPerSecond: sizeBytes.optional(),
      connections: z.number().int().min(1).max(64).default(2),
      preloadLibraries: z.array(z.string()).default([]),
      /** Of the restored server. `low` spares what else runs on the host, and makes the recovery time that is measured longer. */
      priority: z.enum(['normal', 'low']).default('normal'),
      /** `required`: refuse to drill where the copy cannot be cut off from the network, or from production's files and sockets on the host. */
      network: z.enum(['required', 'bestEffort']).default('bestEffort'),
      settings: drillSettingsSchema.default({}),
  }).prefault({}),
  postgres: z.strictObject({ binDirectory: z.string().optional() }).prefault({}),
  lease: z.strictObject({ maximum: leaseMs.default(48 * 3_600_000), hostLoss: leaseMs.default(10 * 60_000) }).prefault({}),
  webUi: z.url().optional(),
  /** Who decides: other names of one person, and who stands in for whom. */
  people: peopleSchema,
  /** Names of people that a gate takes together as `@name`. */
  groups: groupsSchema,
  approvals: z.strictObject({
    /** Whose signatures count, in the format of `ssh-keygen -Y verify` (ALLOWED SIGNERS in its manual). */
    allowedSigners: z.string().optional(),
  }).prefault({}),
  notifications: z.strictObject({
    channels: z.record(z.string().min(1).max(100), channelSchema).default({}),
    /** Channels that are told when a step waits for an operator, and when a run could not undo what it did. */
    alarm: z.array(z.string()).max(MOST_CHANNELS, `tells more than ${MOST_CHANNELS} channels; leave some out`).default([]),
  }).prefault({}),
  databases: z.record(z.string().regex(/^[a-z0-9][a-z0-9_-]{0,40}$/, 'a target is named with a-z, 0-9, _ and -'), databaseSchema),
}).superRefine((value, context) => {
  for (const { path, message } of mistakesOfGates(value)) context.addIssue({ code: 'custom', path, message });
  for (const [index, copy] of value.evidence.copies.entries()) {
    if ('directory' in copy && copy.directory === value.evidence.directory) context.addIssue({ code: 'custom', path: ['evidence', 'copies', index, 'directory'], message: 'is evidence.directory itself; name another place' });
  }
  if (Object.keys(value.databases).length === 0) context.addIssue({ code: 'custom', path: ['databases'], message: 'name at least one database' });
});
/** The file as it was read, with its defaults; durations in milliseconds, sizes in bytes. Secrets are still references. */
export type Configuration = z.output<typeof configurationSchema>;
