import { defaultPayloadConverter } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import { expect, it } from 'vitest';
import { findFormerGuardian } from '../../activities/kernel/former-guardian.ts';
import { guardianId } from '../../contracts/guardian.ts';
import { INTERNAL } from '../../contracts/messages.ts';

const owner = { workflowId: 'toy/shop', firstExecutionRunId: 'run' };
const place = { title: 'box', input: { root: '/box' }, taskQueue: 'runbooks', open: 'openBox', close: 'closeBox', prove: 'proveBox' };
const heard = (signalName: string, message: object) => ({ workflowExecutionSignaledEventAttributes: { signalName, input: { payloads: [defaultPayloadConverter.toPayload(message)] } } });

/** A server that knows one run and one guardian of it, both ended by force; each event is a second after the one before. */
function serverWith(guardian: object[]): Client {
  const histories: Record<string, object[]> = { [owner.workflowId]: [{}, { signalExternalWorkflowExecutionInitiatedEventAttributes: { signalName: INTERNAL.take } }], [guardianId(owner)]: [{}, ...guardian] };
  const handle = (id: string) => ({
    describe: async () => ({ runId: id === owner.workflowId ? 'run' : 'guardian', status: { name: 'TERMINATED' }, startTime: new Date(10_000), raw: {} }),
    fetchHistory: async () => ({ events: histories[id]?.map((event, index) => ({ eventId: index + 1, eventTime: { seconds: 10 + index, nanos: 0 }, ...event })) }),
  });
  return { workflow: { getHandle: handle, list: async function* () { /* It lists nothing. */ } } } as unknown as Client;
}

it.each([
  ['has more parts than any of ours', { place: null, parts: Array.from({ length: 60_000 }, () => 0) }],
  ['is larger than any of ours', { place: null, words: 'x'.repeat(700_000) }],
  ['is of another form', { place: 7 }],
])('a take that its guardian dropped, since it %s, is not what it held', async (_, dropped) => {
  const client = serverWith([heard(INTERNAL.take, dropped), heard(INTERNAL.take, { place }), heard(INTERNAL.granted, { fence: 3 })]);
  expect(await findFormerGuardian(client, { owner })).toMatchObject({ state: 'endedByForce', unsettled: { places: [{ place, fence: 3 }] } });
});
