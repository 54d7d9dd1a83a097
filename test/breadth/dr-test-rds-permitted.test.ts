import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Finding } from '../../scripts/cli/doctor-finding.ts';
import { archiveUntilNow, withMaster } from '../support/aws-lab-rds.ts';
import { createLabUser, publishedPolicy, without, type LabUser, type PolicyDocument } from '../support/aws-lab-user.ts';
import { startRdsEnvironment, type RdsEnvironment } from '../support/rds-environment.ts';

/** A worker that may do in AWS what docs/reference/iam/rds-drills.json permits, and nothing else. */
let environment: RdsEnvironment;
let user: LabUser;
let drills: PolicyDocument;

beforeAll(async () => {
  drills = await publishedPolicy('rds-drills');
  environment = await startRdsEnvironment({
    sourceSettings: async ({ endpoint, region, credentials }) => ({ StorageEncrypted: true, KmsKeyId: (await new KMSClient({ endpoint, region, credentials }).send(new CreateKeyCommand({}))).KeyMetadata?.Arn }),
    async prepare(lab) {
      user = await createLabUser(lab, 'worker');
      await lab.control.enforcePolicies(true);
      return user.credentials;
    },
  });
  await withMaster(environment.source, (client) => client.query('CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 1000)'));
  const { failure } = await environment.run('manifest');
  if (failure !== undefined) throw new Error(failure);
  await archiveUntilNow(environment, 'shop-prod');
});
afterAll(() => environment.stop());

/** As an operator calls it, with the worker's credentials. */
async function doctor(): Promise<{ code: number; findings: Finding[] }> {
  const run = promisify(execFile)(process.execPath, ['dist/scripts/cli/main.js', 'doctor', '--json', '--config', environment.configurationFile, '--address', environment.address], { env: { ...process.env, ...environment.environment } });
  const { stdout, code } = await run.then(({ stdout: text }) => ({ stdout: text, code: 0 }), (error: { stdout: string; code: number }) => error);
  return { code, findings: (JSON.parse(stdout) as { findings: Finding[] }).findings.filter(({ about }) => about === 'shop') };
}

it('drills with the documented policy, an encrypted source too, in isolation; and runbook doctor has said that it would', async () => {
  await user.permit(drills, await publishedPolicy('rds-doctor'));
  const { code, findings } = await doctor();
  // RDS gives its master user no BYPASSRLS.
  expect(findings.filter(({ outcome }) => outcome !== 'ok').map(({ name, outcome, detail }) => `${name} ${outcome}: ${detail}`)).toEqual([expect.stringMatching(/^role warning: master is subject to row-level policies/)]);
  expect(code).toBe(0);
  expect(findings.map(({ name }) => name)).toEqual(expect.arrayContaining(['connection', 'wal_level', 'role', 'track_commit_timestamp', 'AWS', 'source instance', 'subnet group', 'security groups', 'isolation', 'encryption key', 'backups', 'recovery point', 'manifest', 'permissions']));
  const { evidence, failure } = await environment.run('dr-test');
  expect(failure).toBeUndefined();
  expect(evidence).toMatchObject({ outcome: 'succeeded', verdict: { restore: 'sound' }, teardown: { provenAbsent: true } });
  expect(evidence.notVerified.join()).not.toContain('cut off');
  const denied = (await environment.lab.control.calls()).filter(({ status, identifiers }) => status === 403 && !JSON.stringify(identifiers).includes('runbooks-d-'));
  expect(denied).toEqual([]);
});

it('is told by runbook doctor which permission is missing; a drill says it, too, and leaves nothing', async () => {
  await user.permit(without(drills, 'ec2:DescribeSecurityGroups'), await publishedPolicy('rds-doctor'));
  const { code, findings } = await doctor();
  expect(code).toBe(1);
  expect(findings.find(({ name, outcome }) => name === 'permissions' && outcome === 'problem')).toMatchObject({ detail: 'ec2:DescribeSecurityGroups is missing: AWS answered UnauthorizedOperation' });
  const { evidence, failure } = await environment.run('dr-test');
  expect(failure).toMatch(/not authorized to perform: ec2:DescribeSecurityGroups/);
  expect(evidence.outcome).toBe('failed');
  expect((await environment.rds.send(new DescribeDBInstancesCommand({}))).DBInstances).toHaveLength(1);
});
