import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeConfiguration } from '../../activities/drill/configuration.ts';
import { type Drill, drillPaths } from '../../activities/drill/drill.ts';
import { mistakeIn } from '../../activities/drill/try-settings.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { drillSettingsSchema, isReserved } from '../../contracts/drill-settings.ts';

let root: string;
beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'drb-settings-')); });
afterEach(() => rmSync(root, { recursive: true, force: true }));

const recoverySettings = { max_connections: 100, max_worker_processes: 8, max_wal_senders: 10, max_prepared_transactions: 0, max_locks_per_transaction: 64 };
/** A drill of a version, whose configuration lies in a directory of its own. */
function drillOf(serverMajor: number, settings: Drill['settings'] = {}): Drill {
  const directory = join(root, String(serverMajor));
  mkdirSync(drillPaths(directory).conf, { recursive: true });
  return {
    name: 'd', run: 'r', fence: '1', directory, binDirectory: root, serverMajor, owner: null, superuser: 'postgres', maintenanceDatabase: 'postgres', hiddenPaths: [], hiddenDrills: null,
    isolation: { network: 'notIsolated', mounts: 'notIsolated', reason: null }, recoverySettings, settings, preloadLibraries: [], priority: 'normal', reserveBytes: 0,
  };
}
const goal = { timeline: 1, stopBeforeLsn: '0/1', then: 'promote' } as const;

describe('settings of drills', () => {
  it.each([14, 15, 16, 17, 18])('are refused where a drill of version %i sets them itself', async (major) => {
    const drill = drillOf(major);
    await writeConfiguration(drill, goal);
    const written = [...readFileSync(join(drillPaths(drill.directory).conf, 'postgresql.conf'), 'utf8').matchAll(/^(\w+) = /gm)].map(([, name]) => name ?? '');
    expect(written).toContain('recovery_target_lsn');
    expect(written.filter((name) => !isReserved(name))).toEqual(['temp_file_limit']);
  });

  it('are refused where they would lead the server to other files, or end recovery elsewhere, in any case of letters', () => {
    const hostile = ['data_directory', 'config_file', 'include', 'include_dir', 'include_if_exists', 'recovery_target', 'recovery_target_time', 'Archive_Mode', 'LISTEN_ADDRESSES', 'Recovery_Target_XID'];
    const { error } = drillSettingsSchema.safeParse(Object.fromEntries(hostile.map((name) => [name, 'x'])));
    expect(error?.issues.map(({ path, message }) => [path.join('.'), message])).toEqual(hostile.map((name) => [name, "belongs to the drill's isolation or recovery and cannot be configured; leave it out"]));
  });

  it('are taken in small letters, as PostgreSQL reads them, and once', () => {
    expect(drillSettingsSchema.parse({ Work_Mem: '64MB', 'auto_explain.log_min_duration': '1s' })).toEqual({ work_mem: '64MB', 'auto_explain.log_min_duration': '1s' });
    const { error } = drillSettingsSchema.safeParse({ work_mem: '64MB', WORK_MEM: '1MB', 'work mem': '1', jit: 'off\nfsync = off' });
    expect(error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`)).toEqual(['WORK_MEM is there twice', 'work mem is no name of a setting', 'jit holds a line break']);
  });

  it('are refused by the drill itself, too, whoever wrote them', async () => {
    await expect(writeConfiguration(drillOf(18, { Data_Directory: '/production' }), goal)).rejects.toMatchObject({ type: 'UNFIT_HOST', message: expect.stringContaining('Data_Directory') as string });
  });

  it.each([
    ['a name that there is not', { work_mem: '64MB', shared_bufers: '1GB' }, 'unrecognized configuration parameter "shared_bufers"'],
    ['a value that it does not take', { work_mem: 'much' }, 'invalid value for parameter "work_mem": "much"'],
    ['a value out of its range', { work_mem: '1kB' }, '1 kB is outside the valid range for parameter "work_mem" (64 kB .. 2147483647 kB)'],
    ['an unknown choice', { wal_compression: 'best' }, 'invalid value for parameter "wal_compression": "best"'],
    ['nothing', {}, null],
    ['quotes and backslashes', { search_path: `"it's", a\\b` }, null],
    ['a setting of an extension', { 'pg_stat_statements.max': '100' }, null],
  ])('are tried by PostgreSQL: %s', async (_what, settings, mistake) => {
    expect(await mistakeIn(settings, await findPostgres())).toBe(mistake);
  });

  it('cannot be tried where the program is not there, which says nothing of them', async () => {
    await expect(mistakeIn({ work_mem: '64MB' }, { binDirectory: root })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
