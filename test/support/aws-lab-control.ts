/** One call as the lab saw it. Of parameters it keeps the names, and the values of those that name something. */
export interface LabCall {
  readonly service: string;
  readonly action: string;
  readonly region: string;
  readonly account: string;
  /** When it came, by the lab's clock. */
  readonly at: string;
  readonly identifiers: Readonly<Record<string, readonly string[]>>;
  readonly parameters: readonly string[];
  /** Null while it is not answered, 0 when its reply was lost on purpose. */
  readonly status: number | null;
  /** What it was refused with, also where nobody heard of it. */
  readonly errorCode: string | null;
  readonly milliseconds: number | null;
  /** Kinds of the faults that it met. */
  readonly faults: readonly LabFault['kind'][];
}

/** Something that real AWS would have done and the lab did not. */
export interface Unimplemented { readonly service: string; readonly action: string; readonly detail: string; readonly at: string }

/** What goes wrong with the calls of an action: until so many met it, or so many seconds have passed, or it is switched off. */
export interface LabFault {
  /** `denied`: refused as by a policy. `throttle`: refused with Throttling. `serverError`: 503. `lostReply`: heeded, and the connection is dropped. `slow`: later. `staleReads`: Describe… and List… of rds answer as of then. */
  readonly kind: 'denied' | 'throttle' | 'serverError' | 'lostReply' | 'slow' | 'staleReads';
  /** `rds` when left out; `*` for all. */
  readonly service?: string;
  /** All actions when left out. */
  readonly action?: string;
  /** So many calls pass first. */
  readonly after?: number;
  readonly calls?: number;
  readonly forSeconds?: number;
  /** Of `slow`: how long it takes; of `staleReads`: how old the answers are. */
  readonly seconds?: number;
}

/** How often a fault struck. */
export interface StruckFault { readonly id: string; readonly kind: LabFault['kind']; readonly service: string; readonly action: string; readonly struck: number }

/** How long each phase takes at least, in milliseconds. */
export interface LabDurations {
  create: number; restore: number; backUp: number;
  /** After the answer to ModifyDBInstance, in which the instance still says that it is available. */
  beforeModify: number;
  modify: number; reboot: number; delete: number; snapshot: number; copySnapshot: number;
  /** From an event to its message in SNS. */
  deliverEvent: number;
}

/** What a restore ends in instead of `available`, and what the events say about it. */
export interface RestoreFailure {
  readonly status: 'incompatible-network' | 'incompatible-parameters' | 'incompatible-restore' | 'storage-full' | 'failed';
  readonly reason: string;
}

/** An RDS event with its number, as the lab recorded it. */
export interface LabEvent { readonly id: string; readonly at: string; readonly sourceType: string; readonly source: string; readonly categories: readonly string[]; readonly message: string }

/** A PostgreSQL server that runs for an instance. */
export interface LabServer { readonly account: string; readonly region: string; readonly instance: string; readonly pid: number; readonly dataDirectory: string }

/** Another account or region than the lab's own. */
export interface Where { readonly account?: string; readonly region?: string }

/** What a test steers and asks besides the calls of AWS. Nothing here shows in the log of calls. */
export interface LabControl {
  calls(): Promise<readonly LabCall[]>;
  clearCalls(): Promise<void>;
  unimplemented(): Promise<readonly Unimplemented[]>;
  /** Changes those that are given, for what begins from now on; answers all. */
  durations(changed?: Partial<LabDurations>): Promise<LabDurations>;
  /** Switches a fault on; answers its id. */
  fault(fault: LabFault): Promise<string>;
  /** All that were switched on since the last clearFaults. */
  faults(): Promise<readonly StruckFault[]>;
  /** Switches one off, or all. */
  clearFaults(id?: string): Promise<void>;
  /** The next restore that none of these is planned for ends so. */
  failNextRestore(failure: RestoreFailure): Promise<void>;
  /** Takes an automated snapshot now; answers its identifier when it is available. */
  automatedSnapshot(instance: string, where?: Where): Promise<string>;
  /** Archives all that is committed now: LatestRestorableTime then is this second, less the lag. */
  archiveNow(instance: string, where?: Where): Promise<void>;
  /** How often WAL is archived, how long until that counts, and whether it stands still. */
  archive(settings: { everyMs?: number; lagMs?: number; paused?: boolean }): Promise<void>;
  /** Where the files of a snapshot are, which may be broken there, and the WAL that is archived of its instance; null where none is. */
  snapshotFiles(snapshot: string, where?: Where): Promise<{ dataDirectory: string; archive: string | null }>;
  /** Gives a snapshot another time of creation. */
  backDate(snapshot: string, created: Date, where?: Where): Promise<void>;
  /** Lets RDS say of a snapshot that it was taken of another instance, as no AWS does by itself. */
  passOff(snapshot: string, instance: string, where?: Where): Promise<void>;
  /** Whether DeleteDBInstance is refused while the instance is creating; it is accepted otherwise. */
  refuseDeleteWhileCreating(refused: boolean): Promise<void>;
  /** Whether the policies of IAM's users and roles are heeded; whoever IAM does not know may do everything all the same. */
  enforcePolicies(enforced: boolean): Promise<void>;
  events(where?: Where): Promise<readonly LabEvent[]>;
  servers(): Promise<readonly LabServer[]>;
}

/** Speaks to the control API of a lab. */
export function createLabControl(endpoint: string, own: Required<Where>): LabControl {
  async function ask<T>(name: string, given: object = {}): Promise<T> {
    const response = await fetch(`${endpoint}/_lab/${name}`, { method: 'POST', body: JSON.stringify(given) });
    const answer = (await response.json()) as T & { error?: string };
    if (!response.ok) throw new Error(`the AWS lab refused ${name}: ${answer.error}`);
    return answer;
  }
  return {
    calls: () => ask('calls'),
    clearCalls: () => ask('clear-calls'),
    unimplemented: () => ask('unimplemented'),
    durations: (changed = {}) => ask('durations', changed),
    fault: async (fault) => (await ask<{ id: string }>('fault', fault)).id,
    faults: () => ask('faults'),
    clearFaults: (id) => ask('clear-faults', id === undefined ? {} : { id }),
    failNextRestore: (failure) => ask('rds/fail-next-restore', failure),
    automatedSnapshot: async (instance, where) => (await ask<{ snapshot: string }>('rds/automated-snapshot', { ...own, ...where, instance })).snapshot,
    archiveNow: (instance, where) => ask('rds/archive-now', { ...own, ...where, instance }),
    archive: (settings) => ask('rds/archive', settings),
    snapshotFiles: (snapshot, where) => ask('rds/snapshot-files', { ...own, ...where, snapshot }),
    backDate: (snapshot, created, where) => ask('rds/back-date', { ...own, ...where, snapshot, created: created.toISOString() }),
    passOff: (snapshot, instance, where) => ask('rds/pass-off', { ...own, ...where, snapshot, instance }),
    refuseDeleteWhileCreating: (refused) => ask('rds/delete-while-creating', { refused }),
    enforcePolicies: (enforced) => ask('iam/enforce', { enforced }),
    events: (where) => ask('rds/events', { ...own, ...where }),
    servers: () => ask('rds/servers'),
  };
}
