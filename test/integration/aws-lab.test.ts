import { CreateDBSnapshotCommand, type DBInstance, DeleteDBInstanceCommand, DeleteDBSnapshotCommand, ModifyDBInstanceCommand, RebootDBInstanceCommand, RestoreDBInstanceFromDBSnapshotCommand, type RDSClient } from '@aws-sdk/client-rds';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AwsLab } from '../support/aws-lab.ts';
import { ask, MASTER, startLabWithSource, untilGone, untilInstance, untilModified, untilSnapshot, withMaster } from '../support/aws-lab-rds.ts';
import { PATIENT } from '../support/patience.ts';

let lab: AwsLab;
let rds: RDSClient;
let source: DBInstance;

beforeAll(async () => {
  ({ lab, rds, source } = await startLabWithSource());
});

afterAll(() => lab?.stop());

describe('an instance of the AWS lab', () => {
  it('is a real server that can be reached over TCP as its master user only', async () => {
    expect(source.Endpoint?.Address).toBe('127.0.0.1');
    expect(await ask(source, `SELECT current_setting('wal_level') || ' ' || current_setting('max_prepared_transactions')`)).toBe('logical 20');
    await expect(ask(source, 'SELECT 1', { user: 'rdsadmin' })).rejects.toThrow(/pg_hba\.conf rejects connection.*rdsadmin/);
    await expect(ask(source, 'SELECT 1', { database: 'rdsadmin' })).rejects.toThrow(/pg_hba\.conf rejects connection/);
    await expect(ask(source, 'SELECT 1', { password: 'another' })).rejects.toThrow(/password authentication failed/);
  });

  it('gives its master user what RDS gives, and no more', async () => {
    await withMaster(source, async (client) => {
      const { rows: [role] } = await client.query(`SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user`);
      expect(role).toEqual({ rolsuper: false, rolcreatedb: true, rolcreaterole: true, rolreplication: true, rolbypassrls: false });
      const { rows } = await client.query(`SELECT rolname FROM pg_roles WHERE rolname <> current_user AND pg_has_role(current_user, oid, 'usage') ORDER BY 1`);
      expect(rows.map(({ rolname }) => rolname as string)).toEqual(expect.arrayContaining(['pg_checkpoint', 'pg_monitor', 'pg_read_all_data', 'pg_signal_backend', 'pg_write_all_data', 'rds_replication', 'rds_superuser']));
      await client.query(`SELECT pg_create_logical_replication_slot('kept', 'pgoutput')`);
      await client.query(`SELECT pg_drop_replication_slot('kept')`);
      for (const refused of [
        `COPY (SELECT 1) TO PROGRAM 'cat'`, `COPY (SELECT 1) TO '/tmp/file'`, `SELECT pg_read_file('postgresql.conf')`, `SELECT pg_ls_dir('.')`, `ALTER SYSTEM SET work_mem = '1GB'`,
        `SELECT pg_backup_start('mine')`, 'CREATE EXTENSION amcheck', 'CREATE ROLE other SUPERUSER', 'SET session_replication_role = replica', 'GRANT pg_execute_server_program TO CURRENT_USER',
        'SELECT pg_switch_wal()', 'ALTER ROLE rdsadmin PASSWORD NULL',
      ]) await expect(client.query(refused), refused).rejects.toMatchObject({ code: '42501' });
    });
  });

  it('takes the password that ModifyDBInstance gives it, some time after the answer', async () => {
    const changed = 'another-for-tests-only';
    const { DBInstance: answered } = await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'source', MasterUserPassword: changed }));
    expect(answered).toMatchObject({ DBInstanceStatus: 'available', PendingModifiedValues: { MasterUserPassword: '****' } });
    await untilModified(rds, 'source');
    expect(await ask(source, 'SELECT 1', { password: changed })).toBe(1);
    await expect(ask(source, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
    await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'source', MasterUserPassword: MASTER.password }));
    await untilModified(rds, 'source');
  });

  it('restarts its server when it is rebooted', async () => {
    const started = await ask(source, 'SELECT pg_postmaster_start_time()');
    const passed: string[] = [];
    await rds.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: 'source' }));
    source = await untilInstance(rds, 'source', 'available', passed);
    expect(passed).toEqual(['rebooting', 'available']);
    expect(await ask(source, 'SELECT pg_postmaster_start_time()')).not.toEqual(started);
  });
});

describe('a snapshot of the AWS lab', () => {
  it('is restored to what was committed when it was taken, also while the source is written to', async () => {
    await withMaster(source, (client) => client.query('CREATE TABLE written (n int, at timestamptz DEFAULT clock_timestamp())'));
    const writing = new AbortController();
    const writer = withMaster(source, async (client) => {
      for (let n = 0; !writing.signal.aborted; n += 1) await client.query('INSERT INTO written VALUES ($1)', [n]);
    });
    await vi.waitFor(async () => expect(await ask(source, 'SELECT count(*)::int FROM written')).toBeGreaterThan(0), PATIENT);
    await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'source', DBSnapshotIdentifier: 'busy', Tags: [{ Key: 'run', Value: '1' }] }));
    const progress: number[] = [];
    const snapshot = await untilSnapshot(rds, 'busy', progress);
    await sleep(100);
    writing.abort();
    await writer;
    expect(progress.slice(0, -1).every((percent) => percent < 100)).toBe(true);
    expect(progress.at(-1)).toBe(100);

    const passed: string[] = [];
    // Long enough to be seen on a busy machine.
    await lab.control.durations({ modify: 1000 });
    await rds.send(new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: 'copy', DBSnapshotIdentifier: 'busy', BackupRetentionPeriod: 0 }));
    const copy = await untilInstance(rds, 'copy', 'available', passed);
    expect(passed).toEqual(['creating', 'modifying', 'available']);
    expect(copy.Endpoint?.Port).not.toBe(source.Endpoint?.Port);
    const [inSource, inCopy] = await Promise.all([source, copy].map((one) => ask(one, 'SELECT count(*)::int FROM written')));
    expect(inCopy).toBeGreaterThan(0);
    expect(inCopy).toBeLessThan(inSource as number);
    // Without gaps, and with all that was committed before the time that the snapshot names.
    expect(await ask(copy, 'SELECT max(n) + 1 = count(*) FROM written')).toBe(true);
    // A row has its time from before its commit, which is over when the next one has its own.
    const surely = `SELECT count(*)::int FROM written JOIN written AS next ON next.n = written.n + 1 WHERE next.at < '${snapshot.SnapshotCreateTime!.toISOString()}'`;
    expect(inCopy).toBeGreaterThanOrEqual(await ask(source, surely) as number);
    await withMaster(copy, (client) => client.query('DROP TABLE written'));
    expect(await ask(source, 'SELECT count(*)::int FROM written')).toBe(inSource);
  });

  it('leaves nothing of a restored instance that is deleted, and no files when it is deleted itself', async () => {
    const server = (await lab.control.servers()).find(({ instance }) => instance === 'copy')!;
    const directory = path.dirname(server.dataDirectory);
    expect(existsSync(directory)).toBe(true);
    // Long enough for a slow machine to ask a second time meanwhile.
    await lab.control.durations({ delete: 3_000 });
    const { DBInstance: answered } = await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'copy', SkipFinalSnapshot: true, DeleteAutomatedBackups: true }));
    expect(answered?.DBInstanceStatus).toBe('deleting');
    await expect(rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'copy', SkipFinalSnapshot: true }))).rejects.toMatchObject({ name: 'InvalidDBInstanceStateFault' });
    await untilGone(rds, 'copy');
    expect(() => process.kill(server.pid, 0)).toThrow('ESRCH');
    expect(existsSync(directory)).toBe(false);
    const backups = path.join(directory, '..', '..', 'backups');
    expect(readdirSync(backups)).toHaveLength(1);
    await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'busy' }));
    expect(readdirSync(backups)).toEqual([]);
  });
});

describe('an AWS lab that is stopped', () => {
  it('leaves no process and no folder, and can be stopped again', async () => {
    const [server] = await lab.control.servers();
    const folder = path.join(server!.dataDirectory, '..', '..', '..');
    expect(existsSync(folder)).toBe(true);
    await lab.stop();
    await lab.stop();
    for (const pid of [lab.pid, server!.pid]) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect(existsSync(folder)).toBe(false);
  });
});
