import { expect, it } from 'vitest';
import { gatePolicySchema, type GateEvent } from '../../contracts/gate.ts';
import { keepEvent, policyOf } from '../../workflows/procedure/gate-record.ts';

it('keeps what was done to a gate, however often it reminded, and counts what it leaves out', () => {
  const record = { events: [] as GateEvent[], eventsLeftOut: 0 };
  const note = (event: GateEvent['event'], times = 1) => {
    for (let index = 0; index < times; index += 1) keepEvent(record, { at: `${event} ${index}`, event, detail: '' });
  };
  note('reminded', 284);
  note('escalated');
  note('extended');
  note('planChanged', 300);
  expect(record.events).toHaveLength(200);
  expect(record.events.slice(0, 3).map(({ event }) => event)).toEqual(['escalated', 'extended', 'planChanged']);
  expect(record.eventsLeftOut).toBe(284 + 302 - 200);
});

it('says whom a gate asked, and whom from when on', () => {
  const policy = gatePolicySchema.parse({ approvers: ['anna'], quorum: 1, assurance: 'principal', escalation: [{ after: '2h', approvers: ['cto'] }, { after: '1h', approvers: ['ben'], notify: ['ops'] }] });
  expect(policyOf(policy, 0)).toEqual({
    approvers: ['anna'], quorum: 1, rejections: 1, requesterMayApprove: false, assurance: 'principal',
    escalation: [{ at: '1970-01-01T01:00:00.000Z', approvers: ['ben'] }, { at: '1970-01-01T02:00:00.000Z', approvers: ['cto'] }],
  });
});
