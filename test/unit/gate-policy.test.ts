import { describe, expect, it } from 'vitest';
import { gatePolicySchema, type Decision } from '../../contracts/gate.ts';
import { gateOutcome, onBehalfOf, refusal as refusalOf, refusalToExtend, requestersOf, requesterUnchecked, type GateView, type Proposal } from '../../workflows/procedure/gate-policy.ts';

const policy = (over: Record<string, unknown> = {}) => gatePolicySchema.parse({ approvers: ['anna', 'ben'], quorum: 2, ...over });
const view = (over: Partial<GateView> = {}): GateView => ({ name: 'start', policy: policy(), people: {}, openedAtMs: 0, planHash: 'abc', requesters: ['carol'], decisions: [], ...over });
const decision = (over: Partial<Decision>): Decision => ({ at: '', decision: 'approve', by: 'anna', onBehalfOf: null, planSeen: null, key: null, assurance: 'claimed', channel: 'signal', identity: '', comment: null, counted: true, reason: null, ...over });
const refusal = (gate: GateView, proposal: Omit<Proposal, 'channel' | 'identity' | 'atMs'> & Partial<Proposal>) => refusalOf(gate, { channel: 'signal', identity: '', atMs: 0, ...proposal });

describe('refusal', () => {
  it('lets a named approver decide once', () => {
    expect(refusal(view(), { decision: 'approve', by: 'anna', assurance: 'claimed' })).toBeNull();
  });
  it.each([
    ['somebody who is not named', view(), { by: 'mallory', assurance: 'claimed' }, 'one of anna, ben must'],
    ['an empty form where a name is asked for', view(), { by: null, assurance: 'none' }, 'asks for assurance "claimed"'],
    ['the same person under another spelling', view({ decisions: [decision({})] }), { by: ' ANNA', assurance: 'claimed' }, 'already decided'],
    ['a plan that has changed', view(), { by: 'anna', assurance: 'claimed', planHash: 'old' }, 'is not the plan'],
    ['the requester', view({ requesters: ['carol', 'Ben'] }), { by: 'ben', assurance: 'claimed' }, 'may not approve'],
    ['a claim where a verified principal is asked for', view({ policy: policy({ assurance: 'principal' }) }), { by: 'anna', assurance: 'claimed' }, 'asks for assurance "principal" and this decision has "claimed"; only a name that the Temporal server stamped'],
    ['an update where a verified principal is asked for', view({ policy: policy({ assurance: 'principal' }) }), { by: 'anna', assurance: 'claimed', channel: 'update' }, 'an update brings the run no verified name, a signal does'],
    ['a principal where a signature is asked for', view({ policy: policy({ assurance: 'signature' }) }), { by: 'anna', assurance: 'principal' }, 'sign it: `runbook approve WORKFLOW_ID --sign KEY`'],
    ['the same person in other letters of Unicode', view({ decisions: [decision({})] }), { by: 'ＡＮＮＡ', assurance: 'claimed' }, 'already decided'],
    ['a name of spaces', view({ policy: policy({ approvers: [] }) }), { by: ' ', assurance: 'claimed' }, 'there is nothing in its name that people can see; decide with a name'],
    ['a name that nobody sees', view({ policy: policy({ approvers: [], assurance: 'none' }) }), { by: '\u200B\u3164\u2800\u{E0041}\u0007', assurance: 'claimed' }, 'nothing in its name that people can see'],
    ['the same person with a character that nobody sees', view({ decisions: [decision({})] }), { by: 'an\u200Bna\u00AD', assurance: 'claimed' }, 'already decided'],
    ['a second name of one key', view({ decisions: [decision({ key: 'SHA256:x', assurance: 'signature' })] }), { by: 'ben', assurance: 'signature', key: 'SHA256:x' }, 'the key SHA256:x has already decided at gate "start"; each key counts once'],
  ] as const)('refuses %s', (_title, gate, proposal, sentence) => {
    expect(refusal(gate, { decision: 'approve', ...proposal })).toContain(sentence);
  });
  it('takes the beginning of a plan\'s hash for it from eight digits on, as it is shown, and nothing shorter', () => {
    const planHash = 'abcdef0123456789'.repeat(4);
    const refused = (given: string) => refusal(view({ planHash }), { decision: 'approve', by: 'anna', assurance: 'claimed', planHash: given });
    for (const given of [planHash, planHash.slice(0, 32), planHash.slice(0, 32).toUpperCase()]) expect(refused(given)).toBeNull();
    for (const given of ['', 'abcdef012346', `${planHash.slice(0, 31)}f`, `${planHash}0`]) expect(refused(given)).toContain('is not the plan');
    for (const given of ['a', planHash.slice(0, 12), planHash.slice(0, 31)]) expect(refused(given)).toContain('is too little of the hash of a plan to name it');
  });
  it('lets the requester reject, which only makes things safer', () => {
    expect(refusal(view({ requesters: ['ben'] }), { decision: 'reject', by: 'ben', assurance: 'claimed' })).toBeNull();
  });
  it('counts an empty form once, and only where the policy accepts it', () => {
    const gate = view({ policy: policy({ assurance: 'none' }) });
    expect(refusal(gate, { decision: 'approve', by: null, assurance: 'none' })).toBeNull();
    expect(refusal({ ...gate, decisions: [decision({ by: null, assurance: 'none' })] }, { decision: 'approve', by: null, assurance: 'none' })).toContain('already decided');
  });
});

describe('an empty form, where it counts and the requester may not approve', () => {
  const gate = view({ policy: policy({ assurance: 'none', approvers: [], quorum: 1 }), requesters: requestersOf({ requester: null, startedBy: { identity: 'temporal-cli:ben@db1', principal: null } }) });
  const empty = { decision: 'approve', by: null, assurance: 'none' } as const;
  it.each(['temporal-cli:ben@db1', 'temporal-cli:ben@elsewhere', 'runbook/Ben@db2'])('is refused from %s', (identity) => {
    expect(refusal(gate, { ...empty, identity })).toContain('who sent this without a name, requested or started this run and may not approve it');
  });
  // The web UI gives itself no identity, an SDK the number of its process: neither is a person.
  it.each(['', 'temporal-cli:anna@db1', '4711@db1'])('counts from "%s"', (identity) => {
    expect(refusal(gate, { ...empty, identity })).toBeNull();
  });
  it('counts as a rejection, and where the requester may approve', () => {
    const identity = 'temporal-cli:ben@db1';
    expect(refusal(gate, { ...empty, decision: 'reject', identity })).toBeNull();
    expect(refusal({ ...gate, policy: { ...gate.policy, requesterMayApprove: true } }, { ...empty, identity })).toBeNull();
  });
});

describe('a decision with a name and one without, where both count', () => {
  const ops = 'temporal-cli:ops@bastion';
  const unnamed = { by: null, assurance: 'none' } as const;
  const named = { by: 'anna', assurance: 'claimed' } as const;
  const after = (past: Partial<Decision>, proposal: Pick<Proposal, 'by' | 'assurance'> & Partial<Proposal>) =>
    refusal(view({ policy: policy({ assurance: 'none', approvers: [] }), decisions: [decision(past)] }), { decision: 'approve', ...proposal });

  it.each([
    ['of one client, the name last', { ...unnamed, identity: ops }, { ...named, identity: ops }, 'ops'],
    ['of one client, the name first', { ...named, identity: ops }, { ...unnamed, identity: ops }, 'ops'],
    ['of two clients of one user', { ...unnamed, identity: ops }, { ...named, identity: 'runbook/Ops@db1' }, 'ops'],
    ['of whose client the user has that name', { ...unnamed, identity: 'runbook/anna@db1' }, { ...named, channel: 'update', identity: null }, 'anna'],
  ] as const)('%s, are one person\'s', (_title, past, proposal, name) => {
    expect(after(past, proposal)).toContain(`${name} has already decided at gate "start"; each person counts once, and a decision without a name`);
  });
  it.each([
    ['a name that is another of that user\'s', { ...unnamed, identity: 'runbook/anna@db1' }, { ...named, by: 'anna@example.org' }],
    ['none, of the client of a user whose other name decided', { by: 'Anna Ott' }, { ...unnamed, identity: 'temporal-cli:anna@db2' }],
  ] as const)('the second with %s, are one person\'s', (_title, past, proposal) => {
    const gate = view({ policy: policy({ assurance: 'none', approvers: [] }), people: { anna: { aliases: ['anna@example.org', 'Anna Ott'], delegates: [] } }, decisions: [decision(past)] });
    expect(refusal(gate, { decision: 'approve', ...proposal })).toContain('each person counts once, and a decision without a name');
  });
  it.each([
    ['of two users', { ...unnamed, identity: 'runbook/ben@db1' }, { ...named, identity: ops }],
    ['of the web UI', { ...unnamed, identity: '' }, { ...named, identity: '' }],
    ['of an SDK', { ...unnamed, identity: '4711@db1' }, { ...named, identity: '4711@db1' }],
    ['with two names, of an account that people share', { by: 'ben', identity: ops }, { ...named, identity: ops }],
    ['that did not count', { ...unnamed, identity: ops, counted: false }, { ...named, identity: ops }],
    ['of one client, the second a rejection', { ...unnamed, identity: ops }, { ...named, identity: ops, decision: 'reject' }],
  ] as const)('%s, are not', (_title, past, proposal) => {
    expect(after(past, proposal)).toBeNull();
  });
});

describe('people', () => {
  const people = {
    anna: { aliases: ['anna@example.org', 'Anna Ott'], delegates: [{ to: 'dora', from: '1970-01-01T00:00:10Z', until: '1970-01-01T00:00:20Z' }] },
    ben: { aliases: [], delegates: [{ to: 'dora' }] },
    dora: { aliases: ['dora@example.org'], delegates: [] },
  };
  const known = (over: Partial<GateView> = {}) => view({ people, ...over });
  const approve = (by: string, atMs = 15_000) => ({ decision: 'approve', by, assurance: 'claimed', atMs }) as const;
  const place = (gate: GateView, by: string, atMs?: number) => onBehalfOf(gate, { channel: 'signal', identity: '', ...approve(by, atMs) });

  it('have other names, and count once under all of them', () => {
    expect(refusal(known(), approve('ANNA  ott'))).toBeNull();
    expect(refusal(known({ decisions: [decision({ by: 'anna@example.org' })] }), approve('Anna Ott'))).toContain('already decided');
    expect(refusal(known({ requesters: ['anna@example.org'] }), approve('anna'))).toContain('may not approve');
  });
  it('decide for those who named them, in their time, and take one place', () => {
    expect(refusal(known(), approve('dora'))).toBeNull();
    expect(place(known(), 'dora@example.org')).toBe('anna');
    for (const atMs of [9_999, 20_000]) expect(place(known(), 'dora', atMs)).toBe('ben');
    expect(refusal(known({ policy: policy({ approvers: ['anna'], quorum: 1 }) }), approve('dora', 20_000))).toContain('dora may not decide');
    expect(place(known({ decisions: [decision({})] }), 'dora')).toBe('ben');
    const dora = decision({ by: 'dora', onBehalfOf: 'anna' });
    expect(refusal(known({ decisions: [dora] }), approve('dora@example.org'))).toContain('already decided');
    expect(refusal(known({ decisions: [dora] }), approve('anna'))).toContain('dora has already decided for anna');
    expect(refusal(known({ policy: policy({ approvers: ['anna'], quorum: 1 }), decisions: [decision({})] }), approve('dora'))).toContain('anna, for whom dora would decide, has already decided');
  });
  it('do not approve for who asked for the run, and an approver takes the own place', () => {
    const gate = known({ policy: policy({ approvers: ['anna'], quorum: 1 }), requesters: ['anna'] });
    expect(refusal(gate, approve('dora'))).toContain('dora would decide for anna, who requested or started this run');
    expect(refusal(gate, { ...approve('dora'), decision: 'reject' })).toBeNull();
    expect(place(known({ requesters: ['anna'] }), 'dora')).toBe('ben');
    expect(place(known({ policy: policy({ approvers: ['anna', 'dora'] }) }), 'dora')).toBeNull();
  });
});

describe('escalation', () => {
  const gate = view({ policy: policy({ approvers: ['anna'], quorum: 1, expiresAfter: '4h', escalation: [{ after: '1h', approvers: ['boss'] }] }) });
  const boss = (atMs: number) => refusal(gate, { decision: 'approve', by: 'boss', assurance: 'claimed', atMs });
  it('lets further people decide from its time on, by when they sent it', () => {
    expect(boss(3_599_999)).toContain('boss may not decide at gate "start"; one of anna must; it is escalated to boss at 1970-01-01T01:00:00.000Z');
    expect(boss(3_600_000)).toBeNull();
  });
});

describe('rejections', () => {
  it('close a gate when there are as many as its policy says', () => {
    const no = (by: string) => decision({ by, decision: 'reject' });
    expect(gateOutcome(policy({ rejections: 2 }), [no('anna')])).toBe('open');
    expect(gateOutcome(policy({ rejections: 2 }), [no('anna'), no('ben')])).toBe('rejected');
    expect(gateOutcome(policy(), [no('anna')])).toBe('rejected');
  });
});

describe('an extension', () => {
  const people = { anna: { aliases: ['Anna Ott'], delegates: [{ to: 'dora' }] }, ben: { aliases: [], delegates: [] } };
  const gate = view({ people, requesters: ['ben'], policy: policy({ assurance: 'signature', escalation: [{ after: '1h', approvers: ['boss'] }] }) });
  it('is for whoever can approve, under every name, as a delegate, and once it was escalated to them, whatever they decided', () => {
    for (const by of ['anna', 'ANNA ott', 'dora']) expect(refusalToExtend({ ...gate, decisions: [decision({})] }, by, 0)).toBeNull();
    expect(refusalToExtend(gate, 'boss', 3_600_000)).toBeNull();
    expect(refusalToExtend(view({ policy: policy({ approvers: [] }) }), 'mallory', 0)).toBeNull();
  });
  it.each([
    [gate, 'boss', 'only who can approve at gate "start" can extend it: boss may not decide'],
    [gate, 'mallory', 'mallory may not decide'],
    [gate, 'Ben', 'Ben requested or started this run'],
    [view({ policy: policy({ approvers: [] }), requesters: ['carol'] }), 'carol', 'carol requested or started this run'],
    [view({ policy: policy({ approvers: [] }) }), '\u200B', 'nothing in the name that people can see'],
  ])('is refused to others', (at, by, sentence) => {
    expect(refusalToExtend(at, by, 0)).toContain(sentence);
  });
});

describe('who asked for a run', () => {
  const startedBy = (identity: string, principal: string | null = null) => ({ identity, principal });
  it.each([
    ['the name in the input', { requester: 'carol', startedBy: null }, ['carol']],
    ['the principal that started it, whatever the input says', { requester: 'carol', startedBy: startedBy('', 'ben@example.org') }, ['carol', 'ben@example.org']],
    ['the user of the Temporal CLI, without a name in the input', { requester: null, startedBy: startedBy('temporal-cli:ben@db1') }, ['temporal-cli:ben@db1', 'ben']],
    ['the user of our CLI, with another name in the input', { requester: 'carol', startedBy: startedBy('runbook/ben@db1') }, ['carol', 'runbook/ben@db1', 'ben']],
    ['no process number', { requester: null, startedBy: startedBy('4711@db1') }, ['4711@db1']],
    ['nobody', { requester: null, startedBy: startedBy('') }, []],
  ])('is %s', (_title, run, names) => {
    expect(requestersOf(run)).toEqual(names);
  });
  it('is refused by every of these names, verified ones too', () => {
    const gate = view({ policy: policy({ approvers: [], quorum: 1, assurance: 'principal' }), requesters: requestersOf({ requester: 'carol', startedBy: startedBy('x', 'ben') }) });
    expect(refusal(gate, { decision: 'approve', by: 'ben', assurance: 'principal' })).toContain('may not approve');
    expect(refusal(gate, { decision: 'approve', by: 'anna', assurance: 'principal' })).toBeNull();
  });
  it.each(['principal', 'signature'])('is said not to be proven where %s is asked for and no starter has one, whatever the input says, and is refused by its claimed names', (assurance) => {
    const scheduled = { requester: 'rita', startedBy: startedBy('temporal-scheduler-default-x') };
    const proven = policy({ approvers: [], quorum: 1, assurance });
    expect(requesterUnchecked(proven, scheduled)).toBe('who requested this run is not proven (it was started by "temporal-scheduler-default-x", and its input names "rita"; both are claimed): that somebody else approves is checked against these names only');
    expect(requesterUnchecked(proven, { requester: null, startedBy: startedBy('runbook/ben@db1') })).toContain('its input names no requester; both are claimed');
    expect(requesterUnchecked(proven, { ...scheduled, requester: null })).toContain('who requested this run is not known');
    expect(requesterUnchecked(proven, { requester: 'rita', startedBy: startedBy('', 'ben') })).toBeNull();
    expect(refusal(view({ policy: proven, requesters: requestersOf(scheduled) }), { decision: 'approve', by: 'rita', assurance: assurance as 'principal' })).toContain('may not approve');
  });
  it('is said not to be proven of whoever brought an input, where a name has to be', () => {
    const known = { requester: null, startedBy: startedBy('', 'ben') };
    expect(requesterUnchecked(policy({ assurance: 'principal' }), known, 'zoe')).toContain('"zoe", is claimed and not proven');
    expect(requesterUnchecked(policy(), known, 'zoe')).toBeNull();
    expect(requesterUnchecked(policy({ assurance: 'principal', requesterMayApprove: true }), known, 'zoe')).toBeNull();
  });
  it('is said not to be known where the gate relies on it', () => {
    const unknown = { requester: null, startedBy: startedBy('4711@db1') };
    expect(requesterUnchecked(policy(), unknown)).toContain('started by "4711@db1"');
    expect(requesterUnchecked(policy({ requesterMayApprove: true }), unknown)).toBeNull();
    for (const known of [{ ...unknown, requester: 'carol' }, { requester: null, startedBy: startedBy('', 'ben') }, { requester: null, startedBy: startedBy('runbook/ben@db1') }]) expect(requesterUnchecked(policy(), known)).toBeNull();
    expect(requesterUnchecked(policy({ assurance: 'none' }), { ...unknown, requester: 'carol' })).toContain('an empty form names nobody');
    expect(requesterUnchecked(policy({ assurance: 'none' }), unknown)).toContain('started by "4711@db1"');
    expect(requesterUnchecked(policy({ assurance: 'none', requesterMayApprove: true }), unknown)).toBeNull();
  });
});

describe('gateOutcome', () => {
  it('opens at the quorum of counted approvals', () => {
    expect(gateOutcome(policy(), [decision({})])).toBe('open');
    expect(gateOutcome(policy(), [decision({}), decision({ by: 'x', counted: false })])).toBe('open');
    expect(gateOutcome(policy(), [decision({}), decision({ by: 'ben' })])).toBe('approved');
  });
  it('closes at the first rejection, whatever was approved', () => {
    expect(gateOutcome(policy(), [decision({}), decision({ by: 'ben', decision: 'reject' })])).toBe('rejected');
  });
});
