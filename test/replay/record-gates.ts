import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { parse, stringify } from 'yaml';
import { Backup } from '../../contracts/backup.ts';
import { DrTest } from '../../contracts/dr-test.ts';
import { startDemoEnvironment } from '../../scripts/demo/environment.ts';
import { collect, type Collected } from './collect.ts';
import { startDrill } from './scenario.ts';
import { connectClient } from '../../scripts/client-connection.ts';

interface Configured { databases: { shop: { gates: { start: Record<string, unknown> } } } }

/**
 * Records what came to drills while no worker was up: decisions at a gate that takes two, among others of somebody who may not
 * decide, and what was said before the first task. Neither takes its target.
 */
export async function recordGates({ root, log }: { root: string; log: (line: string) => void }): Promise<Collected> {
  const demo = await startDemoEnvironment({ scale: 0.02, seed: 1, writersPerSecond: 40, root, log });
  const connection = await connectClient({ address: demo.server.address });
  // Histories keep who sent a signal: not the user who happens to record.
  const client = new Client({ connection, identity: 'operator@demo' });
  try {
    await client.workflow.execute(Backup.type, { workflowId: 'backup/shop/recorded', taskQueue: 'runbooks', args: [{ requester: 'demo' }] });
    await demo.endWorker('SIGTERM');
    const configured = parse(await readFile(demo.configurationFile, 'utf8')) as Configured;
    configured.databases.shop.gates.start['quorum'] = 2;
    await writeFile(demo.configurationFile, stringify(configured));

    const early = 'dr-test-steered-early';
    log(early);
    const first = await client.workflow.start(DrTest.type, { workflowId: `dr-test/shop/${early}`, taskQueue: 'runbooks', args: [{ requester: 'demo' }] });
    for (const operation of ['pause', 'resume', 'pause']) await first.signal(operation, { by: 'ben' });
    await demo.startWorker();
    const steered = await startDrill(client, early, async ({ handle }) => { await handle.signal('abort', { by: 'ben' }); }, { started: first, from: /^(paused|gate)/ });

    const together = 'dr-test-decided-together';
    log(together);
    const decided = await startDrill(client, together, async ({ handle }) => {
      await demo.endWorker('SIGKILL');
      for (const by of ['mallory', 'mallory', 'anna', 'mallory']) await handle.signal('approve', { gate: 'start', by });
      await handle.signal('reject', { gate: 'start', by: 'ben', comment: 'not tonight' });
      await demo.startWorker();
    });
    const { histories } = await collect(client, [steered, decided], join(root, 'evidence'));
    return { histories, evidence: new Map() };
  } finally {
    await connection.close();
    await demo.stop();
  }
}
