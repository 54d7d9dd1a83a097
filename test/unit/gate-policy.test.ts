import { describe, expect, it } from 'vitest';
import { gatePolicySchema, type Decision } from '../../contracts/gate.ts';
import { gateOutcome, refusal as refusalOf, requestersOf, requesterUnchecked, type GateView, type Proposal } from '../../workflows/procedure/gate-policy.ts';

const policy = (over: Record<string, unknown> = {}) => gatePolicySchema.parse({ approvers: ['anna', 'ben'], quorum: 2, ...over });
const view = (over: Partial<GateView> = {}): GateView => ({ name: 'start', policy: policy(), planHash: 'abc', requesters: ['carol'], decisions: [], ...over });
const decision = (over: Partial<Decision>): Decision => ({ at: '', decision: 'approve', by: 'anna', assurance: 'claimed', channel: 'signal', identity: '', comment: null, counted: true, reason: null, ...over });
const refusal = (gate: GateView, proposal: Omit<Proposal, 'channel' | 'identity'> & Partial<Proposal>) => refusalOf(gate, { channel: 'signal', identity: '', ...proposal });

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
    ['an update where a verified principal is asked for', view({ policy: policy({ assurance: 'principal' }) }), { by: 'anna', assurance: 'claimed', channel: 'update', identity: null }, 'no verified name, a signal does: send that, as `runbook approve WORKFLOW_ID` does'],
  ] as const)('refuses %s', (_title, gate, proposal, sentence) => {
    expect(refusal(gate, { decision: 'approve', ...proposal })).toContain(sentence);
  });
  it('takes the beginning of a plan\'s hash for it from eight digits on, as it is shown, and nothing shorter', () => {
    const planHash = 'abcdef0123456789'.repeat(4);
    const refused = (given: string) => refusal(view({ planHash }), { decision: 'approve', by: 'anna', assurance: 'claimed', planHash: given });
    for (const given of [planHash, planHash.slice(0, 12), planHash.slice(0, 8).toUpperCase()]) expect(refused(given)).toBeNull();
    for (const given of ['', 'a', planHash.slice(0, 7), 'abcdef02', `${planHash}0`]) expect(refused(given)).toContain('is not the plan');
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
