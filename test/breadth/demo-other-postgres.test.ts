import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { startDemoEnvironment } from '../../scripts/demo/environment.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { withClient } from '../support/user-clients.ts';

/** An installation of the system, of another version than the package is: the oldest that it has. */
async function systemBinDirectory(): Promise<string | undefined> {
  const packaged = Number.parseInt((await findPostgres()).version, 10);
  const root = '/usr/lib/postgresql';
  const majors = readdirSync(root, { encoding: 'utf8' }).filter((name) => /^\d+$/.test(name) && Number(name) !== packaged).sort((a, b) => Number(a) - Number(b));
  return majors[0] === undefined ? undefined : join(root, majors[0], 'bin');
}

it("runs on the system's PostgreSQL where it is told to: production, and the restored copy", async ({ skip }) => {
  const postgres = await systemBinDirectory().catch(() => undefined);
  if (postgres === undefined) return skip('this system has no PostgreSQL of another version');
  const demo = await startDemoEnvironment({ scale: 0.01, seed: 1, writersPerSecond: 30, postgres, log: () => undefined });
  try {
    const { version } = await findPostgres({ binDirectory: postgres });
    const { rows } = await withClient(demo.production.config, (client) => client.query<{ version: string }>(`SELECT split_part(current_setting('server_version'), ' ', 1) AS version`));
    expect(rows).toEqual([{ version }]);
    expect(parse(readFileSync(demo.configurationFile, 'utf8'))).toMatchObject({ postgres: { binDirectory: postgres } });
    await takeBackup(demo);
    const { evidence } = await runDrill(demo);
    expect(evidence).toMatchObject({ outcome: 'succeeded', verdict: { restore: 'sound' } });
  } finally {
    await demo.stop();
  }
});

it('is told at once that there is no PostgreSQL where it was sent', () => {
  const program = fileURLToPath(new URL('../../dist/scripts/demo/main.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, '--postgres', '/nowhere'], { encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({ status: 2, stdout: '', stderr: 'demo: no PostgreSQL server in /nowhere: it must hold postgres, initdb and pg_ctl; give another directory to --postgres\n' });
});

it('says in a sentence what it cannot start without, and leaves nothing', () => {
  const program = fileURLToPath(new URL('../../dist/scripts/demo/main.js', import.meta.url));
  const place = mkdtempSync(join(tmpdir(), 'demo-without-'));
  try {
    const { status, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8', env: { ...process.env, TMPDIR: place, TEMPORAL_CLI_PATH: '/nowhere/temporal' } });
    expect(stderr).toMatch(/^demo: [^\n]*\/nowhere\/temporal[^\n]*\n$/);
    expect(status).toBe(1);
    expect(readdirSync(place)).toEqual([]);
  } finally { rmSync(place, { recursive: true }); }
});
