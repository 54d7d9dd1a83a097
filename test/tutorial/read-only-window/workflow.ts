import { proxyActivities, sleep } from '@temporalio/workflow';
import { runbook } from '../../../workflows/procedure/runbook.ts';
import type { WindowActivities } from './activities.ts';
import { ReadOnlyWindow } from './contract.ts';

/** `idempotentWrite`: each sets what is to be, so it may be repeated for as long as the database is away. */
const database = proxyActivities<WindowActivities>({ startToCloseTimeout: '30s', retry: { maximumInterval: '10s', maximumAttempts: 20 } });
const undo = (id: string, title: string, activity: keyof WindowActivities, input: unknown) =>
  ({ id, title, when: 'always' as const, call: { activity, input, taskQueue: 'runbooks', startToCloseMs: 30_000 } });

export const readOnlyWindow = runbook(ReadOnlyWindow, async (run, { minutes, connections }) => {
  const target = { database: run.settings.target };
  run.plan({ ...target, minutes, connections });
  await run.gate('start');
  await run.own(null);
  // Not before: until the target is ours, another run may be holding its own settings.
  const { limit, readOnly } = await database.readSettings(target);
  await run.step('limit connections', () => database.limitConnections({ ...target, limit: connections }), { undo: undo('limit', `connection limit back to ${limit}`, 'limitConnections', { ...target, limit }) });
  await run.step('forbid writes', () => database.setReadOnly({ ...target, readOnly: 'on' }), { undo: undo('writes', `read-only back to ${readOnly ?? 'what it is by default'}`, 'setReadOnly', { ...target, readOnly }) });
  await run.step('hold the window', () => sleep(minutes * 60_000));
  return { result: { minutes } };
});
