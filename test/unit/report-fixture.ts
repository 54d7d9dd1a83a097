import type { EarlierRun } from '../../activities/evidence/earlier-runs.ts';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';

const at = (seconds: number) => new Date(Date.UTC(2026, 10, 21, 3, 0, 0) + seconds * 1_000).toISOString();
const step = (name: string, from: number, to: number, summary: string | null = null): Evidence['steps'][number] => ({ name, outcome: 'done', startedAt: at(from), finishedAt: at(to), attempts: 1, summary });

/** The evidence of a drill in which everything happened, valid by the schema. */
export function sampleEvidence(changes: Partial<Evidence> = {}): Evidence {
  return evidenceSchema.parse({
    schemaVersion: 1, runbook: 'dr-test', workflowId: 'dr-test/orders/20261121T030000.000Z', runId: '01a1fea4-0698-707b-927a-f575c2efef5d',
    target: 'orders', requester: 'carol', startedBy: { identity: 'runbook/carol@db1', principal: null }, reason: 'weekly', outcome: 'succeeded', failure: null,
    verdict: { restore: 'sound', rto: 'met', rpo: 'missed' }, startedAt: at(0), finishedAt: at(400),
    plan: { database: 'orders', objectives: { rtaIs: 'withoutWait' }, creates: { directory: '/var/drills/dr-1' }, notVerified: { open: [], byDesign: [] } },
    steps: [step('plan', 0, 2, 'latest, 1.2 GB'), step('copy', 100, 200, '1.2 GB'), step('recover', 200, 380), { ...step('reindex', 380, 380, 'skipped by dora: later'), outcome: 'skipped', attempts: 0 }, step('tear down', 380, 399)],
    gates: [{
      name: 'start', outcome: 'approved', openedAt: at(2), closedAt: at(100), planHash: 'abcdef0123456789',
      events: [
        { at: at(20), event: 'reminded', detail: 'alice and bob' }, { at: at(30), event: 'escalated', detail: 'erin may decide too' },
        { at: at(40), event: 'extended', detail: 'to 2026-11-22T03:00:00.000Z by dora' }, { at: at(45), event: 'planChanged', detail: 'another recovery point' },
      ],
      policy: { approvers: ['alice', 'bob'], quorum: 2, rejections: 1, requesterMayApprove: false, assurance: 'claimed', escalation: [{ at: at(30), approvers: ['erin'] }] },
      decisions: [
        { at: at(50), decision: 'approve', by: 'mallory', assurance: 'claimed', channel: 'signal', identity: 'temporal-cli:mallory@db1', comment: null, counted: false, reason: 'mallory may not decide here' },
        { at: at(98), decision: 'approve', by: 'erin', onBehalfOf: 'bob', planSeen: 'given', key: 'SHA256:0RcE2ahUkz (ED25519)', assurance: 'signature', channel: 'update', comment: null, counted: true, reason: null },
        { at: at(99), decision: 'approve', by: 'alice', assurance: 'principal', channel: 'update', comment: 'go', counted: true, reason: null },
      ],
    }],
    operations: [
      { at: at(150), operation: 'pause', by: 'dora', reason: 'the host is <b>busy</b>', channel: 'update' },
      { at: at(160), operation: 'resume', by: null, reason: null, channel: 'signal', identity: 'web-ui', principal: 'dora@example.org' },
      { at: at(170), operation: 'retryStep', by: 'dora', reason: 'another disk', channel: 'update', of: 'recover', detail: '{"disk":2}' },
    ],
    refused: ['approve at 2026-11-21T03:00:50.000Z: mallory may not decide here', 'reject at 2026-11-21T03:01:00.000Z: its argument is not { <gate> }'], refusedLeftOut: 3,
    recovery: {
      rtoSeconds: 3600, rpoSeconds: 300, rtaSeconds: 380, rtaWithoutWaitSeconds: 282, rtaWithoutComparisonSeconds: 300, rpaSeconds: 412, lostTransactions: 17,
      phases: [{ name: 'humanWait', seconds: 98 }, { name: 'copying', seconds: 100 }, { name: 'replaying', seconds: 182 }],
      recoveryPoint: { id: 'base-1', takenAt: at(-3600), provider: 'archive' }, rpaMethod: 'last commit of the source against last commit recovered', clockSkewSeconds: 0.012,
    },
    checks: [{ name: 'newest order', outcome: 'passed', detail: 'true' }, { name: 'no orphans', outcome: 'failed', detail: 'expected 0, got 3' }],
    compensations: [{ id: 'c1', step: 'copy', title: 'remove the copy', outcome: 'done', startedAt: at(390), finishedAt: at(391), detail: 'gone' }],
    teardown: { outcome: 'done', provenAbsent: true, leaseExpiresAt: at(900), destroyed: ['directory /var/drills/dr-1'], proofs: [{ at: at(398), looked: ['/var/drills/dr-1', 'processes'], found: [] }] },
    costs: { amount: 0.1234, currency: 'EUR', seconds: 298, gib: 20, method: '298 s at most' },
    notVerified: ['unlogged table public.sessions'],
    chain: { codeVersion: '0.1.0', planHash: 'abcdef0123456789', writtenBy: 'run' },
    ...changes,
  });
}

/** A run before it, as its report shows one. */
export function earlierRun(changes: Partial<EarlierRun>): EarlierRun {
  return { workflowId: 'dr-test/orders/before', runId: 'before', startedAt: at(-86_400), outcome: 'succeeded', verdict: { restore: 'sound', rto: 'met', rpo: 'missed' }, rta: { seconds: 282, words: ', without waiting for people' }, rpaSeconds: 412, head: 'a'.repeat(64), ...changes };
}

/** Evidence with one text in every field of text that has no fixed form. */
export function everywhere(text: string, evidence: Evidence): Evidence {
  const put = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return /At$|^at$|outcome|restore|rto|rpo|decision|operation$|assurance|channel|writtenBy|^event$|onExpiry|planSeen/.test(key) ? value : text;
    if (Array.isArray(value)) return value.map((item) => put(item, key));
    if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, put(inner, name)]));
    return value;
  };
  return put(evidence, '') as Evidence;
}
