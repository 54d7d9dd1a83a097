import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateDBParameterGroupCommand, CreateDBSubnetGroupCommand, type DBInstance, ModifyDBParameterGroupCommand, type RDSClient } from '@aws-sdk/client-rds';
import { Client, Connection } from '@temporalio/client';
import { stringify } from 'yaml';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { startWorkerProcess, type WorkerProcess } from '../faults/worker-process.ts';
import { startAwsLab, type AwsLab } from './aws-lab.ts';
import { callByQuery } from './aws-lab-call.ts';
import { drillEnd, type EndedDrill } from './drill-run.ts';
import { createSource, MASTER, rdsClient } from './aws-lab-rds.ts';

/** A lab RDS with a source that keeps times of commits, and a worker that drills it. */
export interface RdsEnvironment {
  lab: AwsLab;
  rds: RDSClient;
  source: DBInstance;
  client: Client;
  root: string;
  worker: WorkerProcess;
  /** Another one, with the same configuration. */
  startWorker: () => Promise<WorkerProcess>;
  /** Runs a runbook on the target `shop` to its end; answers its evidence and why it failed, if it did. */
  run: (type: string, input?: object) => Promise<EndedDrill>;
  stop: () => Promise<void>;
}

/** @param settings of the database and of the whole configuration, beside the usual ones */
export async function startRdsEnvironment(settings: { shop?: object; root?: object } = {}): Promise<RdsEnvironment> {
  const root = await mkdtemp(join(tmpdir(), 'rds-'));
  await chmod(root, 0o711);
  const stops: (() => Promise<unknown>)[] = [() => rm(root, { recursive: true, force: true })];
  const stop = async () => { for (const end of stops.splice(0).reverse()) await end().catch((error: unknown) => console.error(error)); };
  try {
    const lab = await startAwsLab({ log: console.log });
    stops.push(() => lab.stop());
    const rds = rdsClient(lab);
    const { subnetGroup, securityGroup } = await prepareNetwork(lab, rds);
    await rds.send(new CreateDBParameterGroupCommand({ DBParameterGroupName: 'shop', DBParameterGroupFamily: 'postgres18', Description: 'shop' }));
    await rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: 'shop', Parameters: [{ ParameterName: 'track_commit_timestamp', ParameterValue: '1', ApplyMethod: 'pending-reboot' }] }));
    const source = await createSource(rds, 'shop-prod', { BackupRetentionPeriod: 7, DBParameterGroupName: 'shop' });
    const cli = await resolveTemporalCli({ log: () => undefined });
    const server = await startTemporalServer({ cliPath: cli.path, searchAttributes: {}, logFile: join(root, 'temporal.log') });
    stops.push(() => server.stop());
    await mkdir(join(root, 'manifests'));
    await writeFile(join(root, 'password'), MASTER.password, { mode: 0o600 });
    await writeFile(join(root, 'key'), randomBytes(32).toString('base64'), { mode: 0o600 });
    const configurationFile = join(root, 'runbooks.yaml');
    await writeFile(configurationFile, stringify({
      version: 1, ...settings.root, evidence: { directory: join(root, 'evidence') }, drills: { directory: join(root, 'drills') },
      databases: {
        shop: {
          connection: { host: source.Endpoint!.Address, port: source.Endpoint!.Port, database: 'shop', user: MASTER.name, passwordFile: join(root, 'password') },
          provider: { kind: 'rds', instance: 'shop-prod', access: { region: lab.region }, repository: join(root, 'manifests'), lookEvery: '200ms', drill: { subnetGroup, securityGroups: [securityGroup], passwordKeyFile: join(root, 'key') } },
          manifest: { dutyCycle: 1 }, checks: [{ name: 'there are orders', sql: 'SELECT count(*) > 0 FROM orders', expect: true }],
          ...settings.shop,
        },
      },
    }), { mode: 0o600 });
    const environment = { AWS_ENDPOINT_URL: lab.endpoint, AWS_ACCESS_KEY_ID: lab.credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: lab.credentials.secretAccessKey };
    const startWorker = async (): Promise<WorkerProcess> => {
      const started = await startWorkerProcess({ configurationFile, address: server.address, logFile: join(root, 'worker.log'), environment });
      stops.push(() => started.signal('SIGTERM'));
      return started;
    };
    const worker = await startWorker();
    const temporal = await Connection.connect({ address: server.address });
    stops.unshift(() => temporal.close());
    const client = new Client({ connection: temporal });
    return {
      lab, rds, source, client, root, worker, startWorker, stop,
      run: async (type, input = {}) => drillEnd({ client }, await client.workflow.start(type, { workflowId: `${type}/shop/${randomBytes(4).toString('hex')}`, taskQueue: 'runbooks', args: [input] })),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What moto has from the beginning: a VPC with subnets and a security group. */
export async function prepareNetwork(lab: AwsLab, rds: RDSClient): Promise<{ subnetGroup: string; securityGroup: string }> {
  const subnets = [...(await callByQuery(lab, 'ec2', '2016-11-15', 'DescribeSubnets')).matchAll(/<subnetId>(subnet-[0-9a-z]+)</g)].map(([, id]) => id ?? '');
  const [, securityGroup = ''] = /<groupId>(sg-[0-9a-z]+)</.exec(await callByQuery(lab, 'ec2', '2016-11-15', 'DescribeSecurityGroups')) ?? [];
  await rds.send(new CreateDBSubnetGroupCommand({ DBSubnetGroupName: 'drills', DBSubnetGroupDescription: 'drills', SubnetIds: subnets.slice(0, 2) }));
  return { subnetGroup: 'drills', securityGroup };
}
