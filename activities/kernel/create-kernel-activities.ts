import { Context, log } from '@temporalio/activity';
import { ApplicationFailure, QueryNotRegisteredError, QueryRejectedError, WorkflowNotFoundError, type Client, type WorkflowHandle } from '@temporalio/client';
import type { Signature } from '../../contracts/chain.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { guardianId } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { INTERNAL, isNotTakenUp, QUERIES, type LastRecord } from '../../contracts/messages.ts';
import { closeOpenEntries, endOf, evidenceOf, UNKNOWN_VERSION, type RunRecord, type UncountedEvidence } from '../../contracts/record.ts';
import { isOver } from '../../contracts/run-status.ts';
import { KERNEL_GATES, type GatePolicy } from '../../contracts/gate.ts';
import { membersOf, type Groups } from '../../contracts/people.ts';
import type { SearchAttributeName } from '../../contracts/search-attributes.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { CopyFailure } from '../evidence/copies.ts';
import { copyStores } from '../evidence/copy-stores.ts';
import { costsOf } from '../evidence/costs.ts';
import { directoryStore } from '../evidence/directory-store.ts';
import { createEvidenceWriter } from '../evidence/evidence-writer.ts';
import { lastUndone } from '../evidence/last-undone.ts';
import { describeIfKnown } from './describe-if-known.ts';
import { findUnguardedEnd } from './evidence-due.ts';
import { findFormerGuardian } from './former-guardian.ts';
import { findOverdue } from './guardian-history.ts';
import { identifyDecision, identifyDecisions, identifyUpdate } from './identify.ts';
import type { EvidenceFiles, KernelActivities } from './kernel-activities.ts';
import { describeLock, findFormerLock, releaseLock, tellLock } from './locks.ts';
import { findRolledBack } from './rolled-back.ts';
import { awaitRunEnd, findRunEnd, latestRun } from './run-end.ts';
import { withSenders } from './operation-senders.ts';
import { ledgerOf, lookAtLife, readLedger, readLives, readStarter } from './run-history.ts';
import { verifySignature, verifySignatures } from './verify-signature.ts';

/** What the kernel's activities need of the worker. `codeVersion` goes into evidence: that of this package. */
export interface KernelDependencies {
  client: Client;
  configuration: Configuration;
  codeVersion: string;
  /** Search attributes that the server accepted when the worker started. */
  searchAttributes: SearchAttributeName[];
  /** Signs the head of each chain of evidence; absent where no key is configured. */
  signHead?: ((head: string) => Signature) | undefined;
}

/** The side effects of the kernel. Nothing here knows any runbook. */
export function createKernelActivities({ client, configuration, codeVersion, searchAttributes, signHead }: KernelDependencies): KernelActivities {
  const store = directoryStore(configuration.evidence.directory);
  const writer = createEvidenceWriter({ store, copies: copyStores(configuration), sign: signHead });
  /** The run itself sees neither its activities' attempts nor who sent a message; its history does. */
  const withHistory = async (owner: Owner | undefined, evidence: UncountedEvidence): Promise<Evidence> => {
    const lives = owner && await readLives(client, owner).catch(ignoreNotFound);
    const ledger = lives && ledgerOf(lives);
    const counted = { ...evidence, operations: withSenders(evidence.operations, lives?.histories.get(evidence.runId) ?? []), steps: evidence.steps.map((step) => ({ ...step, attempts: ledger?.attempts[step.name] ?? step.attempts ?? (step.outcome === 'skipped' ? 0 : 1) })) };
    return { ...counted, costs: costsOf(counted) };
  };
  return {
    async describeRun({ runbook, target, gates, run }) {
      const name = target ?? onlyTarget(configuration);
      // Names come from outside: `constructor` is one that every object has.
      const settings = Object.hasOwn(configuration.databases, name) ? configuration.databases[name] : undefined;
      if (!settings) {
        throw ApplicationFailure.nonRetryable(`there is no database "${name}" in the configuration; it has ${Object.keys(configuration.databases).join(', ')}`, 'NOT_FOUND');
      }
      const isGate = (gate: string) => gates.includes(gate) || KERNEL_GATES.includes(gate);
      const unknownGate = Object.keys(settings.gates).find((gate) => gates.length > 0 && !isGate(gate));
      if (unknownGate !== undefined) throw ApplicationFailure.nonRetryable(`databases.${name}.gates.${unknownGate}: there is no such gate; there are ${[...gates, ...KERNEL_GATES].join(', ')}`, 'CONFIGURATION');
      const { lease, groups, people, notifications } = configuration;
      return {
        target: name,
        ...(settings.host === undefined ? {} : { host: settings.host }),
        gates: Object.fromEntries(Object.entries(settings.gates).filter(([gate]) => isGate(gate)).map(([gate, policy]) => [gate, withMembers(policy, groups)])),
        people,
        ...(settings.failedSteps ? { failedStepsWaitMs: settings.failedSteps.wait } : {}),
        alarm: notifications.alarm,
        lastUndone: await lastUndone(store, { runbook, target: name }),
        searchAttributes,
        lease: { maximumMs: lease.maximum, hostLossMs: lease.hostLoss },
        codeVersion,
        startedBy: await readStarter(client, run),
      };
    },
    identifyDecision: (input) => identifyDecision(client, input),
    identifyUpdate: (input) => identifyUpdate(client, input),
    identifyDecisions: (input) => identifyDecisions(client, input),
    verifySignature: (input) => verifySignature({ ...input, allowedSigners: configuration.approvals.allowedSigners }),
    verifySignatures: ({ signed }) => verifySignatures(signed, configuration.approvals.allowedSigners),
    requestLock: ({ target, request }) => tellLock(client, target, INTERNAL.request, request),
    findFormerLock: ({ lockId: id, ...which }) => findFormerLock(client, id, which),
    describeLock: ({ target }) => describeLock(client, target),
    releaseLock: ({ target, guardianId: id }) => releaseLock(client, target, id),
    async findDeadGuardians({ guardianIds }) {
      const states = await Promise.all(guardianIds.map(async (id) => {
        const guardian = await describeIfKnown(client, id);
        return guardian && !isOver(guardian.status.name) ? undefined : id;
      }));
      return states.filter((id) => id !== undefined);
    },
    findFormerGuardian: (input) => findFormerGuardian(client, input),
    findRolledBack: (input) => findRolledBack(client, input),
    findUnguardedEnd: (input) => findUnguardedEnd(client, input),
    findOverdue: ({ owner }) => findOverdue(client, owner),
    findRunEnd: ({ owner }) => findRunEnd(client, owner),
    awaitRunEnd: ({ owner }) => awaitRunEnd(client, owner),
    async endRun({ owner, how, reason }) {
      const handle = client.workflow.getHandle(owner.workflowId, undefined, { firstExecutionRunId: owner.firstExecutionRunId });
      await (how === 'cancel' ? handle.cancel() : handle.terminate(reason)).catch(ignoreNotFound);
    },
    readLedger: ({ owner }) => readLedger(client, owner),
    async writeEvidence({ owner, evidence }) {
      const left = timeLeft();
      const known = evidence.chain.codeVersion === UNKNOWN_VERSION ? { ...evidence, chain: { ...evidence.chain, codeVersion } } : evidence;
      const whole = await withHistory(owner, known);
      return whileThereIsTime(left, () => writer.write(whole));
    },
    async writeEvidenceOfDeadRun({ owner, runbook, target, outcome, failure: known, end, settlement }) {
      const left = timeLeft();
      const runId = end?.runId || (await latestRun(client, owner))?.runId || owner.firstExecutionRunId;
      const life = await lookAtLife(client, owner.workflowId, runId).catch(ignoreNotFound);
      // On this host also evidence whose writer died before the server knew of it.
      const existing = life?.written ?? await whileThereIsTime(left, () => writer.finish(owner.workflowId, runId));
      if (existing) return existing;
      const handle = client.workflow.getHandle(owner.workflowId, runId);
      // A closed run still answers queries; one whose code cannot be replayed leaves only what the guardian knows.
      const unbegun = life?.hasBegun === false;
      const record = unbegun ? undefined : await lastRecord(handle).catch(unlessItMayPass);
      const whyUnknown = unbegun ? 'the run was ended before it began' : 'the history of the run could not be replayed';
      const finishedAtMs = end?.closedAtMs ?? Date.now();
      const writtenBy = Context.current().info.workflowExecution?.workflowId ?? guardianId(owner);
      const failure = known ?? (outcome === 'succeeded' ? null : { type: outcome.toUpperCase(), message: `the run ended without writing its evidence (${end?.status ?? outcome}); ${writtenBy} wrote this` });
      const evidence = evidenceOf(record ?? unknownRecord({ whyUnknown, runbook, target, owner, codeVersion, startedAtMs: (await describeIfKnown(client, owner.workflowId, runId))?.startTime.getTime() ?? finishedAtMs }), { ...endOf({ outcome, failure }, settlement), settlement, runId, finishedAtMs, writtenBy: 'guardian' });
      closeOpenEntries(evidence, evidence.finishedAt);
      const whole = await withHistory(owner, evidence);
      return whileThereIsTime(left, () => writer.write(whole));
    },
  };
}

/** A policy with each group replaced by who is in it. */
function withMembers(policy: GatePolicy, groups: Groups): GatePolicy {
  const resolve = (names: readonly string[]) => membersOf(names, groups).members;
  return { ...policy, approvers: resolve(policy.approvers), escalation: policy.escalation.map((escalation) => ({ ...escalation, approvers: resolve(escalation.approvers) })) };
}

/** Longer than until the next attempt and for it: there may be no other. */
const LAST_CHANCE_MS = 3 * 60_000;

/**
 * Copies that fail are tried again for as long as the run waits for its evidence. What is kept then is enough to end it: the
 * doctor says what a copy lacks.
 */
async function whileThereIsTime<T>(left: () => number, write: () => Promise<T>): Promise<T | EvidenceFiles> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof CopyFailure)) throw error;
    if (left() > LAST_CHANCE_MS) throw error;
    log.warn(error.message);
    return error.files;
  }
}

/**
 * How long an activity may go on, attempts and all, from when this is called at its start. When this attempt was due is
 * Temporal's clock, as the end is; this host's may be another, so that it is only asked how much time has passed.
 */
function timeLeft(): () => number {
  const began = performance.now();
  const { scheduledTimestampMs, scheduleToCloseTimeoutMs, currentAttemptScheduledTimestampMs } = Context.current().info;
  return () => scheduledTimestampMs + scheduleToCloseTimeoutMs - currentAttemptScheduledTimestampMs - (performance.now() - began);
}

/** How often a run that nobody can query is asked for what it knows, before evidence is written without it. */
const ATTEMPTS_TO_ASK = 10;

/** What a run knew that is over, as far as a worker had taken up what happened. */
async function lastRecord(handle: WorkflowHandle): Promise<RunRecord> {
  return handle.query<RunRecord, [LastRecord]>(INTERNAL.lastRecord, { isOver: true }).catch((error: unknown) => {
    // By a worker of older code.
    if (knowsNoSuchQuery(error)) return handle.query<RunRecord>(QUERIES.record);
    throw error;
  });
}

/** The SDK takes everything for that by which a worker refuses a query. */
function knowsNoSuchQuery(error: unknown): boolean {
  return error instanceof QueryNotRegisteredError && !isNotTakenUp(error);
}

/** A server or worker that does not answer now may do so later: what is written without the record stays so for good. */
function unlessItMayPass(error: unknown): undefined {
  // What a worker of newer code has not taken up, one of older code asked for: both are there for a while.
  const isAnswer = knowsNoSuchQuery(error) || error instanceof QueryRejectedError || error instanceof WorkflowNotFoundError;
  if (!isAnswer && Context.current().info.attempt < ATTEMPTS_TO_ASK) throw error;
  return undefined;
}

function onlyTarget(configuration: Configuration): string {
  const names = Object.keys(configuration.databases);
  const [only] = names;
  if (names.length === 1 && only !== undefined) return only;
  throw ApplicationFailure.nonRetryable(`the configuration has several databases; say which one with { "database": "…" }: ${names.join(', ')}`, 'INVALID_INPUT');
}

function ignoreNotFound(error: unknown): undefined {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
  return undefined;
}

function unknownRecord({ whyUnknown, runbook, target, owner, codeVersion, startedAtMs }: Pick<RunRecord, 'runbook' | 'owner' | 'codeVersion' | 'startedAtMs'> & { target: string | null; whyUnknown: string }): RunRecord {
  return {
    runbook, target, requester: null, startedBy: null, reason: null, startedAtMs, codeVersion, plan: null, planHash: null, steps: [], gates: [], operations: [], checks: [],
    notVerified: { open: [whyUnknown], byDesign: [] }, recovery: null, verdict: { restore: null, rto: null, rpo: null }, refused: [], refusedLeftOut: 0, owner, guardianId: guardianId(owner),
  };
}
