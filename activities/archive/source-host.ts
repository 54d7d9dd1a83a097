import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { lookAt } from './look-at.ts';
import { RecoveryFailure } from './recovery-failure.ts';

/** By what a running server is told from every other: those that were copied from it have its system identifier too. */
export interface RunningServer { dataDirectory: string; systemIdentifier: string; startedAt: Date; port: number; inRecovery: boolean }

/** `postmaster.pid` says when the process began, in seconds; the server counts from when it was about to serve. A clock may be set in between. */
const CLOCK_MS = 60_000;
/** Between the two lies the making of shared memory and the loading of libraries, which take long on large servers. */
const LONGEST_PREPARATION_MS = 10 * 60_000;

/** `DB_IN_PRODUCTION` of `enum DBState`, and where `ControlFileData` holds it; the same in all versions we know. */
const IN_PRODUCTION = 6;
const STATE_OFFSET = 16;
/** `DB_SHUTDOWNED_IN_RECOVERY` and `DB_IN_ARCHIVE_RECOVERY`: a standby. A primary that recovers from a crash is in neither. */
const OF_STANDBY = [2, 5];

/** Not there, not for us, or its storage is as dead as its server: what is no longer to be had, however often it is tried. */
const UNREADABLE_HERE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM', 'EIO', 'ESTALE']);

/** Whether an error says that a file of the source cannot be had on this host; the rest is trouble of this host. */
export function isUnreadableHere(error: unknown): error is NodeJS.ErrnoException {
  return UNREADABLE_HERE.has((error as NodeJS.ErrnoException).code ?? '');
}

/** Asks a server who it is. The role must be superuser or a member of pg_read_all_settings. */
export async function identifyServer(client: Client): Promise<RunningServer> {
  const { rows: [row] } = await client.query<RunningServer>(
    `SELECT current_setting('data_directory') AS "dataDirectory", (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
            pg_postmaster_start_time() AS "startedAt", current_setting('port')::int AS port, pg_is_in_recovery() AS "inRecovery"`);
  if (!row) throw new Error('the source said nothing of itself');
  return row;
}

/**
 * A base backup copies what lies at the source's path on this host, and a worker on another host may have something else
 * there: nothing, a standby, or another server altogether.
 * @throws RecoveryFailure `UNFIT_HOST` unless the files there are those that this very server runs on
 */
export async function refuseOtherServersFiles(server: RunningServer): Promise<void> {
  const found = await whatElseLiesThere(server);
  if (found !== null) throw new RecoveryFailure('UNFIT_HOST', `${found}; run the worker on the source's host.`);
}

/** What lies at the data directory's path on this host instead of the server's own files, or null when it is those. */
export async function whatElseLiesThere({ dataDirectory, systemIdentifier, startedAt, port, inRecovery }: RunningServer): Promise<string | null> {
  const here = hereIs(dataDirectory);
  let control: Control;
  let lines: string[];
  try {
    control = await readControl(dataDirectory);
    lines = (await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n');
  } catch (error) {
    const { code, path, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return `${here} is not on this host, or no server runs on it here (there is no ${path})`;
    return `${here} cannot be read on this host by this user (${code ?? message})`;
  }
  if (control.identifier !== systemIdentifier) return otherCluster(here, control, systemIdentifier);
  // Lines of postmaster.pid: process, directory, start in seconds, port.
  const startedMs = Number(lines[2]) * 1000;
  const after = startedAt.getTime() - startedMs;
  const isSameProcess = after >= -CLOCK_MS && after <= LONGEST_PREPARATION_MS && Number(lines[3]) === port;
  if (isSameProcess && (control.state === IN_PRODUCTION) === !inRecovery) return null;
  const started = Number.isFinite(startedMs) ? `started at ${new Date(startedMs).toISOString()} on port ${lines[3]}` : 'with a postmaster.pid that says nothing';
  return `${here} is that of another server of the same cluster on this host, such as a standby (${started}; the source at ${startedAt.toISOString()} on port ${port})`;
}

/**
 * What lies at the data directory's path on this host instead of the files of a source that does not answer, or null when
 * they can be its own. Its standby has WAL of the same names, and lacks what had not reached it.
 */
export async function whatLiesInsteadOfTheDead({ dataDirectory, systemIdentifier }: Pick<RunningServer, 'dataDirectory' | 'systemIdentifier'>): Promise<string | null> {
  const here = hereIs(dataDirectory);
  try {
    const control = await readControl(dataDirectory);
    if (control.identifier !== systemIdentifier) return otherCluster(here, control, systemIdentifier);
    const signals = await Promise.all(['standby.signal', 'recovery.signal'].map((name) => lookAt(join(dataDirectory, name))));
    return OF_STANDBY.includes(control.state) || signals.some((found) => found) ? `${here} is that of a standby on this host` : null;
  } catch (error) {
    if (!isUnreadableHere(error)) throw error;
    return error.code === 'ENOENT' ? `${here} is not on this host (there is no ${error.path})` : `${here} cannot be read on this host (${error.code})`;
  }
}

interface Control { identifier: string; state: number }

async function readControl(dataDirectory: string): Promise<Control> {
  const control = await readFile(join(dataDirectory, 'global/pg_control'));
  // As the server wrote it, so in the order of bytes of this machine.
  const [identifier] = new BigUint64Array(Uint8Array.from(control.subarray(0, 8)).buffer);
  const [state] = new Uint32Array(Uint8Array.from(control.subarray(STATE_OFFSET, STATE_OFFSET + 4)).buffer);
  return { identifier: String(identifier), state: state ?? -1 };
}

function hereIs(dataDirectory: string): string {
  return `the source's data directory ${dataDirectory}`;
}

function otherCluster(here: string, { identifier }: Control, systemIdentifier: string): string {
  return `${here} is another cluster's on this host (system identifier ${identifier}, and the source's is ${systemIdentifier})`;
}
