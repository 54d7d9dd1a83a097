/** A worker of the toy runbook in a process of its own, which tests kill: `node worker-process.js ADDRESS BUNDLE CONFIGURATION`. */
import { readFile } from 'node:fs/promises';
import { Client } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createKernelActivities } from '../../../activities/kernel/create-kernel-activities.ts';
import type { Configuration } from '../../../contracts/configuration.ts';
import { WORKFLOW_THREAD } from '../../../workers/workflow-thread.ts';
import { toyActivities } from './activities.ts';

const [address = '', codePath = '', configurationFile = ''] = process.argv.slice(2);
Runtime.install({ logger: new DefaultLogger('ERROR') });
const configuration = JSON.parse(await readFile(configurationFile, 'utf8')) as Configuration;
const connection = await NativeConnection.connect({ address });
const worker = await Worker.create({
  ...WORKFLOW_THREAD, connection, taskQueue: 'runbooks', workflowBundle: { codePath },
  activities: { ...createKernelActivities({ client: new Client({ connection }), configuration, codeVersion: 'test', searchAttributes: [] }), ...toyActivities },
});
const running = worker.run();
process.stdout.write('worker ready\n');
await running;
