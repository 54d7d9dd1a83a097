import type { Configuration } from '../../contracts/configuration.ts';
import { hostTaskQueue, SEARCH_ATTRIBUTES, TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { hostName } from '../../workers/host.ts';
import { wronglyTyped } from '../../workers/search-attributes.ts';
import { connect, inWords, reasonOf, type Connected } from './connect.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';
import { examineLeftovers } from './doctor-leftovers.ts';
import { examineRdsLeftovers } from './doctor-rds-leftovers.ts';
import { examineUnkept } from './doctor-unkept.ts';
import { AdvisedError, EXIT } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { ACTIVITIES, hasPollers } from './start-run.ts';

/** The server, its namespace, our search attributes, whether workers ask for work, and what it says of the drills and the evidence on this host. */
export async function examineTemporal(options: TemporalOptions, configuration: Configuration): Promise<Finding[]> {
  const findings = new Findings('temporal');
  let connected: Connected;
  try {
    connected = await connect(options);
  } catch (error) {
    if (!(error instanceof AdvisedError)) throw error;
    findings.problem('server', error.problem, error.todo);
    return findings.all;
  }
  try {
    await examineServer(connected, options, findings);
    return [...findings.all, ...await examineLeftovers(connected, configuration), ...await examineRdsLeftovers(connected, configuration), ...await examineUnkept(connected, configuration)];
  } finally {
    await connected.close();
  }
}

async function examineServer(connected: Connected, options: TemporalOptions, findings: Findings): Promise<void> {
  const { client, namespace, address } = connected;
  try {
    const info = await client.workflowService.getSystemInfo({});
    findings.ok('server', `version ${info.serverVersion} answers at ${address}`);
    await client.workflowService.describeNamespace({ namespace });
    findings.ok('namespace', `${namespace} is there`);
  } catch (error) {
    const told = inWords(error, connected, options);
    if (told instanceof AdvisedError) findings.problem(told.exitCode === EXIT.unreachable ? 'server' : 'namespace', told.problem, told.todo);
    else findings.problem('namespace', `namespace ${namespace} cannot be used: ${reasonOf(error)}`, 'name another with --namespace, TEMPORAL_NAMESPACE or a profile, or look at the log of the server');
    return;
  }
  for (const [queue, type, todo] of [
    [TASK_QUEUE, undefined, 'start a worker with `runbook worker`'],
    [hostTaskQueue(hostName()), ACTIVITIES, 'to drill on this host, start a worker here with `runbook worker`'],
  ] as const) {
    const polled = await hasPollers(connected, queue, type);
    if (polled === null) findings.skipped(`task queue ${queue}`, 'the server does not say who polls it');
    else if (polled) findings.ok(`task queue ${queue}`, 'a worker polls it');
    else findings.warning(`task queue ${queue}`, 'no worker polls it', todo);
  }
  await examineSearchAttributes(connected, findings);
}

async function examineSearchAttributes({ client, namespace }: Connected, findings: Findings): Promise<void> {
  try {
    const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
    const missing = Object.entries(SEARCH_ATTRIBUTES).filter(([name]) => customAttributes?.[name] === undefined);
    const otherwise = wronglyTyped(customAttributes ?? {});
    if (otherwise.length > 0) findings.warning('search attributes', `${otherwise.join(', ')} ${otherwise.length === 1 ? 'is' : 'are'} registered with another type than ours; runs do without`, 'remove them (temporal operator search-attribute remove), if nobody else uses them; a worker registers them anew');
    if (missing.length === 0 && otherwise.length === 0) findings.ok('search attributes', 'all are registered');
    if (missing.length === 0) return;
    const commands = missing.map(([name, type]) => `--name ${name} --type ${type}`).join(' ');
    const [are, them] = missing.length === 1 ? ['is', 'it'] : ['are', 'them'];
    findings.warning('search attributes', `${missing.map(([name]) => name).join(', ')} ${are} not registered; runs do without ${them}`, `a worker registers ${them} at start if it may; else: temporal operator search-attribute create ${commands}`);
  } catch (error) {
    findings.skipped('search attributes', `the server does not list them: ${messageOf(error)}`);
  }
}
