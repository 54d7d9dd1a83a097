import { CreateDBParameterGroupCommand, DeleteDBParameterGroupCommand, CreateDBClusterCommand, CreateDBInstanceCommand, DescribeDBInstancesCommand, DescribeDBParameterGroupsCommand, type RDSClient } from '@aws-sdk/client-rds';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startAwsLab, type AwsLab } from '../support/aws-lab.ts';
import { rdsClient, refusal } from '../support/aws-lab-rds.ts';

let lab: AwsLab;
let rds: RDSClient;

beforeAll(async () => {
  lab = await startAwsLab();
  rds = rdsClient(lab);
});

// The last test stops it.
afterAll(() => lab?.stop({ tolerateUnimplemented: true }).catch(() => undefined));

beforeEach(() => Promise.all([lab.control.clearFaults(), lab.control.clearCalls()]));

const look = (client = rds) => client.send(new DescribeDBInstancesCommand({}));
const group = (name: string) => ({ DBParameterGroupName: name, DBParameterGroupFamily: 'postgres18', Description: 'for tests' });
const groups = async () => (await rds.send(new DescribeDBParameterGroupsCommand({}))).DBParameterGroups?.map(({ DBParameterGroupName }) => DBParameterGroupName) ?? [];

describe('a fault of the AWS lab', () => {
  it('throttles as many calls of its action as were asked for, and counts them', async () => {
    await lab.control.fault({ kind: 'throttle', action: 'DescribeDBInstances', calls: 2 });
    expect(await refusal(look())).toBe('Throttling');
    expect(await groups()).toEqual([]);
    expect(await refusal(look())).toBe('Throttling');
    await look();
    expect(await lab.control.faults()).toMatchObject([{ kind: 'throttle', action: 'DescribeDBInstances', struck: 2 }]);
    expect((await lab.control.calls()).map(({ action, status, errorCode }) => [action, status, errorCode])).toEqual([
      ['DescribeDBInstances', 400, 'Throttling'], ['DescribeDBParameterGroups', 200, null], ['DescribeDBInstances', 400, 'Throttling'], ['DescribeDBInstances', 200, null],
    ]);
  });

  it('is overcome by a client that tries again', async () => {
    await lab.control.fault({ kind: 'serverError', calls: 1 });
    await lab.control.fault({ kind: 'throttle', calls: 1, after: 1 });
    await look(rdsClient(lab, lab.region, 4));
    expect((await lab.control.calls()).map(({ status }) => status)).toEqual([503, 400, 200]);
  });

  it('ends after its time', async () => {
    await lab.control.fault({ kind: 'serverError', forSeconds: 1.5 });
    expect(await refusal(look())).toBe('ServiceUnavailable');
    await sleep(1600);
    await look();
  });

  it('loses the reply to what was done', async () => {
    await lab.control.fault({ kind: 'lostReply', action: 'CreateDBParameterGroup', calls: 1 });
    await expect(rds.send(new CreateDBParameterGroupCommand(group('lost')))).rejects.toThrow(/socket hang up|ECONNRESET/);
    expect(await refusal(rds.send(new CreateDBParameterGroupCommand(group('lost'))))).toBe('DBParameterGroupAlreadyExists');
    expect((await lab.control.calls())[0]).toMatchObject({ action: 'CreateDBParameterGroup', status: 0, faults: ['lostReply'], identifiers: { DBParameterGroupName: ['lost'] } });
  });

  it('makes calls slow', async () => {
    await lab.control.fault({ kind: 'slow', seconds: 0.5, calls: 1 });
    const began = performance.now();
    await look();
    expect(performance.now() - began).toBeGreaterThan(490);
  });

  it('lets reads answer as of some time ago: what was made is not there yet, what was deleted still is', async () => {
    await rds.send(new CreateDBParameterGroupCommand(group('old')));
    await sleep(1700);
    await rds.send(new CreateDBParameterGroupCommand(group('new')));
    await rds.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: 'old' }));
    const fault = await lab.control.fault({ kind: 'staleReads', seconds: 1.6 });
    expect(await groups()).toContain('old');
    expect(await groups()).not.toContain('new');
    await sleep(1700);
    expect(await groups()).toContain('new');
    await lab.control.clearFaults(fault);
    expect(await groups()).not.toContain('old');
  });

  it('cannot be one that the lab does not know', async () => {
    await expect(lab.control.fault({ kind: 'staleReads', service: 'sqs', seconds: 1 })).rejects.toThrow(/only reads of rds can be stale/);
    await expect(lab.control.fault({ kind: 'unheard of' as 'slow' })).rejects.toThrow(/a fault has a kind of/);
    await expect(lab.control.durations({ nap: 1 } as object)).rejects.toThrow(/no such duration: nap/);
  });
});

describe('the log of calls', () => {
  it('names who called what about what, and keeps no password', async () => {
    const password = 'seen-by-nobody';
    expect(await refusal(rds.send(new CreateDBInstanceCommand({ DBInstanceIdentifier: 'x', Engine: 'oracle-ee', DBInstanceClass: 'db.t4g.micro', MasterUsername: 'm', MasterUserPassword: password, VpcSecurityGroupIds: [] })))).toBe('InvalidParameterValue');
    const calls = await lab.control.calls();
    expect(calls).toMatchObject([{
      service: 'rds', action: 'CreateDBInstance', region: lab.region, account: lab.account, status: 400, errorCode: 'InvalidParameterValue', identifiers: { DBInstanceIdentifier: ['x'] },
    }]);
    expect(calls[0]?.parameters).toContain('MasterUserPassword');
    expect(Math.abs(Date.parse(calls[0]!.at) - Date.now())).toBeLessThan(5000);
    expect(JSON.stringify(calls)).not.toContain(password);
  });
});

describe('what the AWS lab does not have', () => {
  it('is refused without another try, and remembered: an action, a parameter, a service', async () => {
    const persistent = rdsClient(lab, lab.region, 4);
    expect(await refusal(persistent.send(new CreateDBClusterCommand({ DBClusterIdentifier: 'c', Engine: 'aurora-postgresql' })))).toBe('LabNotImplemented');
    await refusal(persistent.send(new CreateDBInstanceCommand({ DBInstanceIdentifier: 'x', Engine: 'postgres', DBInstanceClass: 'db.t4g.micro', ManageMasterUserPassword: true })));
    expect(await lab.control.calls()).toHaveLength(2);
    expect(await lab.control.unimplemented()).toMatchObject([
      { service: 'rds', action: 'CreateDBCluster', detail: 'the lab has no CreateDBCluster' }, { service: 'rds', action: 'CreateDBInstance', detail: 'the parameter ManageMasterUserPassword is ignored' },
    ]);
  });

  it('makes stop() fail', async () => {
    await expect(lab.stop()).rejects.toThrow(/rds CreateDBCluster: the lab has no CreateDBCluster/);
  });
});
