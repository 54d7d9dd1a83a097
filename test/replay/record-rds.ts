import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { DatabaseSnapshot } from '../../contracts/database-snapshot.ts';
import type { Progress } from '../../contracts/messages.ts';
import { OTHER_REGION } from '../support/aws-lab-elsewhere.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { startRdsEnvironment } from '../support/rds-environment.ts';
import { collect, type Collected } from './collect.ts';
import type { Recorded } from './scenario.ts';
import { connectClient } from '../../scripts/client-connection.ts';

/** Records what runs on RDS, in a lab: a snapshot that is copied and replaces an older one, and one that is aborted while it is made. */
export async function recordRds({ root, log }: { root: string; log: (line: string) => void }): Promise<Collected> {
  const environment = await startRdsEnvironment({ directory: root, snapshots: { retention: '1ms', keepAtLeast: 1, copyTo: [{ region: OTHER_REGION }] } });
  const connection = await connectClient({ address: environment.address });
  // Histories keep who sent a signal: not the user who happens to record.
  const client = new Client({ connection, identity: 'operator@demo' });
  const start = (name: string) => {
    log(name);
    return client.workflow.start(DatabaseSnapshot.type, { workflowId: `database-snapshot/shop/${name}`, taskQueue: 'runbooks', args: [{ requester: 'demo' }] });
  };
  try {
    await (await start('expires')).result();
    const sound = await start('database-snapshot-sound');
    await sound.result();
    await environment.lab.control.durations({ snapshot: 4_000 });
    const aborted = await start('database-snapshot-aborted');
    while (!(await aborted.query<Progress>('progress')).phase.startsWith('snapshot')) await sleep(50);
    await aborted.signal('abort', { by: 'ben' });
    await aborted.result().catch(() => undefined);
    for (const one of [sound, aborted]) await awaitGuardian(client, one);
    const cases: Recorded[] = [sound, aborted].map(({ workflowId, firstExecutionRunId }) => ({ name: workflowId.split('/').at(-1) ?? '', workflowId, runId: firstExecutionRunId }));
    const collected = await collect(client, cases, join(root, 'evidence'));
    collected.evidence.delete('expires.json');
    return collected;
  } finally {
    await connection.close();
    await environment.stop();
  }
}
