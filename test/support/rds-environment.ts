import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateSecurityGroupCommand, DescribeSubnetsCommand, EC2Client, RevokeSecurityGroupEgressCommand } from '@aws-sdk/client-ec2';
import { CreateDBParameterGroupCommand, type CreateDBInstanceCommandInput, CreateDBSubnetGroupCommand, type DBInstance, ModifyDBParameterGroupCommand, type RDSClient } from '@aws-sdk/client-rds';
import { Client } from '@temporalio/client';
import { stringify } from 'yaml';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { startWorkerProcess, type WorkerProcess } from '../faults/worker-process.ts';
import { startAwsLab, type AwsLab } from './aws-lab.ts';
import { labElsewhere } from './aws-lab-elsewhere.ts';
import { drillEnd, type EndedDrill } from './drill-run.ts';
import { createSource, MASTER, rdsClient } from './aws-lab-rds.ts';
import { connectClient } from '../../scripts/client-connection.ts';
import { Started } from '../../scripts/started.ts';

/** A lab RDS with a source that keeps times of commits, and a worker that drills it. */
export interface RdsEnvironment {
  lab: AwsLab;
  rds: RDSClient;
  source: DBInstance;
  client: Client;
  /** Of the Temporal server. */
  address: string;
  configurationFile: string;
  /** How the worker reaches AWS. */
  environment: Readonly<Record<string, string>>;
  root: string;
  worker: WorkerProcess;
  /** Another one, with the same configuration. */
  startWorker: () => Promise<WorkerProcess>;
  /** Runs a runbook on the only target to its end; answers its evidence and why it failed, if it did. */
  run: (type: string, input?: object) => Promise<EndedDrill>;
  /** Kills the worker, and starts another. */
  replaceWorker: () => Promise<void>;
  stop: () => Promise<void>;
}

/** What of a lab stands in the configuration of its worker. */
export interface RdsSite { root: string; region: string; subnetGroup: string; securityGroup: string; source: DBInstance; drillRegion?: string | undefined; snapshots?: object | undefined }

/** How the lab and its configuration differ from the usual; without anything, a source `shop-prod` that the target `shop` is. */
export interface RdsOptions {
  /** Where drills are made, when that is another region than the source's. */
  drillRegion?: string;
  /** What is configured of snapshots. */
  snapshots?: object;
  /** Where everything lies; made where it is not there, and removed at the end. */
  directory?: string;
  /** The source's identifier, and the database in it. */
  source?: { identifier: string; database: string };
  /** Settings of the target `shop`, and of the whole configuration, beside the usual ones. */
  shop?: object;
  root?: object;
  /** The configuration, in place of all of that. */
  configure?: (site: RdsSite) => object;
  /** What the source is made with, beside what all have. */
  sourceSettings?: (lab: AwsLab) => Promise<Partial<CreateDBInstanceCommandInput>>;
  /** Aborted while this starts: what was started so far is ended. */
  signal?: AbortSignal;
  /** What is done before the worker starts; answers the credentials that it has. Default: the lab's own. */
  prepare?: (lab: AwsLab) => Promise<AwsLab['credentials']>;
}

const SHOP = { identifier: 'shop-prod', database: 'shop' };

function configureShop({ root, region, subnetGroup, securityGroup, source, drillRegion, snapshots }: RdsSite, settings: Pick<RdsOptions, 'shop' | 'root'>): object {
  return {
    version: 1, ...settings.root, evidence: { directory: join(root, 'evidence') }, drills: { directory: join(root, 'drills') },
    databases: {
      shop: {
        connection: { host: source.Endpoint!.Address, port: source.Endpoint!.Port, database: 'shop', user: MASTER.name, passwordFile: join(root, 'password') },
        provider: { kind: 'rds', instance: 'shop-prod', access: { region }, repository: join(root, 'manifests'), lookEvery: '200ms', ...(snapshots ? { snapshots } : {}), drill: { subnetGroup, securityGroups: [securityGroup], passwordKeyFile: join(root, 'key'), prices: { currency: 'EUR', instanceHour: 0.36, gibMonth: 0.1 }, ...(drillRegion === undefined ? {} : { access: { region: drillRegion } }) } },
        manifest: { dutyCycle: 1 }, checks: [{ name: 'there are orders', sql: 'SELECT count(*) > 0 FROM orders', expect: true }],
        ...settings.shop,
      },
    },
  };
}

/** Starts lab, Temporal server and worker; `stop` ends them in turn. Leaves nothing where it throws, or `signal` is aborted. */
export async function startRdsEnvironment({ source: { identifier, database } = SHOP, shop = {}, root: top = {}, configure = (site) => configureShop(site, { shop, root: top }), sourceSettings, prepare, drillRegion, snapshots, directory, signal }: RdsOptions = {}): Promise<RdsEnvironment> {
  const root = directory ?? await mkdtemp(join(tmpdir(), 'rds-'));
  await mkdir(root, { recursive: true });
  await chmod(root, 0o711);
  const started = new Started({ log: console.error, signal });
  const stop = () => started.end();
  started.onEnd(() => rm(root, { recursive: true, force: true }));
  try {
    const lab = await started.begin(() => startAwsLab({ log: console.log }), (one) => one.stop());
    const rds = rdsClient(lab);
    const drillLab = drillRegion === undefined ? lab : await labElsewhere(lab, { region: drillRegion });
    const { subnetGroup, securityGroup } = await prepareNetwork(drillLab, rdsClient(drillLab));
    await rds.send(new CreateDBParameterGroupCommand({ DBParameterGroupName: 'shop', DBParameterGroupFamily: 'postgres18', Description: 'shop' }));
    // What autovacuum commits of its own accord counts as lost where tests count.
    await rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: 'shop', Parameters: [{ ParameterName: 'track_commit_timestamp', ParameterValue: '1', ApplyMethod: 'pending-reboot' }, { ParameterName: 'autovacuum', ParameterValue: '0', ApplyMethod: 'pending-reboot' }] }));
    const source = await createSource(rds, identifier, { DBName: database, BackupRetentionPeriod: 7, DBParameterGroupName: 'shop', ...await sourceSettings?.(lab) });
    const cli = await resolveTemporalCli({ log: () => undefined });
    const server = await started.begin(() => startTemporalServer({ cliPath: cli.path, searchAttributes: {}, logFile: join(root, 'temporal.log') }), (one) => one.stop());
    await mkdir(join(root, 'manifests'));
    await writeFile(join(root, 'password'), MASTER.password, { mode: 0o600 });
    await writeFile(join(root, 'key'), randomBytes(32).toString('base64'), { mode: 0o600 });
    const configurationFile = join(root, 'runbooks.yaml');
    await writeFile(configurationFile, stringify(configure({ root, region: lab.region, subnetGroup, securityGroup, source, drillRegion, snapshots })), { mode: 0o600 });
    const credentials = await prepare?.(lab) ?? lab.credentials;
    const environment = { AWS_ENDPOINT_URL: lab.endpoint, AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey };
    const startWorker = (): Promise<WorkerProcess> => started.begin(() => startWorkerProcess({ configurationFile, address: server.address, logFile: join(root, 'worker.log'), environment }), (one) => one.signal('SIGTERM'));
    const worker = await startWorker();
    let current = worker;
    const temporal = await started.begin(() => connectClient({ address: server.address }), (one) => one.close());
    const client = new Client({ connection: temporal });
    return {
      lab, rds, source, client, address: server.address, configurationFile, environment, root, worker, startWorker, stop,
      async replaceWorker() {
        await current.signal('SIGKILL');
        current = await startWorker();
      },
      run: async (type, input = {}) => drillEnd({ client }, await client.workflow.start(type, { workflowId: `${type}/shop/${randomBytes(4).toString('hex')}`, taskQueue: 'runbooks', args: [input] })),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Beside what moto has from the beginning, a VPC with subnets: a subnet group, and a security group that lets nothing out. */
export async function prepareNetwork(lab: AwsLab, rds: RDSClient): Promise<{ subnetGroup: string; securityGroup: string; vpc: string; ec2: EC2Client }> {
  const ec2 = new EC2Client({ endpoint: lab.endpoint, region: lab.region, credentials: lab.credentials });
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
  const vpc = Subnets[0]?.VpcId ?? '';
  const { GroupId: securityGroup = '' } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: 'drills', Description: 'drills', VpcId: vpc }));
  await ec2.send(new RevokeSecurityGroupEgressCommand({ GroupId: securityGroup, IpPermissions: [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }] }));
  await rds.send(new CreateDBSubnetGroupCommand({ DBSubnetGroupName: 'drills', DBSubnetGroupDescription: 'drills', SubnetIds: Subnets.slice(0, 2).map(({ SubnetId = '' }) => SubnetId) }));
  return { subnetGroup: 'drills', securityGroup, vpc, ec2 };
}
