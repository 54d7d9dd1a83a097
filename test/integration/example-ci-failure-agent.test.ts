import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withMaster, MASTER } from '../support/aws-lab-rds.ts';
import { startRdsEnvironment, type RdsEnvironment, type RdsSite } from '../support/rds-environment.ts';

const NAME = 'ci-failure-agent';
const SOURCE = { identifier: 'ci-failure-agent-db', database: 'ci_failure_agent_db' };
const FILE = new URL('../../examples/ci-failure-agent.yaml', import.meta.url);

interface Example { evidence: { directory: string }; databases: Record<string, { connection: Record<string, unknown>; provider: { access: { region: string }; repository: string; drill: Record<string, unknown> } & Record<string, unknown> } & Record<string, unknown>> }

/** The example, with the addresses, paths and the password of the place that it runs in, and nothing else changed. */
function placed(example: Example, { root, region, subnetGroup, securityGroup, source: { Endpoint } }: RdsSite): object {
  const database = example.databases[NAME]!;
  const { provider } = database;
  return {
    ...example, evidence: { directory: join(root, 'evidence') }, drills: { directory: join(root, 'drills') },
    databases: { [NAME]: {
      ...database, manifest: { dutyCycle: 1 },
      // The lab's servers speak no TLS.
      connection: { ...database.connection, host: Endpoint!.Address, port: Endpoint!.Port, user: MASTER.name, passwordFile: join(root, 'password'), sslmode: 'disable' },
      provider: { ...provider, access: { region }, repository: join(root, 'manifests'), lookEvery: '200ms', drill: { ...provider.drill, subnetGroup, securityGroups: [securityGroup], passwordKeyFile: join(root, 'key') } },
    } },
  };
}

let environment: RdsEnvironment;
beforeAll(async () => {
  const example = parse(await readFile(FILE, 'utf8')) as Example;
  environment = await startRdsEnvironment({ source: SOURCE, configure: (site) => placed(example, site) });
});
afterAll(() => environment.stop());

const onSource = (sql: string) => withMaster(environment.source, (client) => client.query(sql), { database: SOURCE.database });

it('runs the quarterly test of system A by its configuration alone: restored from the latest snapshot, compared, measured, and what was not tried is said', async () => {
  // An ANALYZE by autovacuum is a commit too: on RDS, whose WAL nobody reads, it would count.
  await onSource(`CREATE TABLE builds (id int PRIMARY KEY, pipeline text NOT NULL, failed_at timestamptz NOT NULL DEFAULT now(), log text) WITH (autovacuum_enabled = off);
    INSERT INTO builds (id, pipeline, log) SELECT g, 'pipeline ' || g % 7, repeat('x', g % 90) FROM generate_series(1, 5000) g`);
  expect((await environment.run('manifest')).failure).toBeUndefined();
  await onSource(`INSERT INTO builds (id, pipeline) SELECT g, 'since the manifest' FROM generate_series(5001, 5100) g`);
  // With each segment that it archives, RDS commits a heartbeat of its own, which would count.
  await environment.lab.control.archive({ paused: true });
  const snapshot = await environment.lab.control.automatedSnapshot(SOURCE.identifier);
  await onSource(`INSERT INTO builds (id, pipeline) VALUES (6000, 'lost with the disaster')`);

  const { evidence, failure } = await environment.run('dr-test', { database: NAME, requester: 'schedule', reason: 'quarterly restore test' });
  expect(failure).toBeUndefined();
  expect(evidence).toMatchObject({
    outcome: 'succeeded', verdict: { restore: 'sound', rto: 'met', rpo: 'met' }, teardown: { outcome: 'done', provenAbsent: true },
    recovery: { recoveryPoint: { id: snapshot }, rtaSeconds: expect.any(Number) as number, rpaSeconds: expect.any(Number) as number, lostTransactions: 1 },
  });
  const checks = Object.fromEntries(evidence.checks.map(({ name, outcome }) => [name, outcome]));
  expect(checks).toMatchObject({ [`contents of ${SOURCE.database}`]: 'passed', 'there are tables': 'passed', 'every constraint is valid': 'passed' });
  expect(evidence.notVerified).toContain(`failover: ${SOURCE.identifier} has no standby (Multi-AZ is off), so there is nothing to fail over to`);
});
