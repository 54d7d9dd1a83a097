import type { Client } from 'pg';
import { receivedBehind, type ArchivedSoFar } from './archive-lag.ts';

/** A source's archiver, as the source says. */
export interface Archiver extends ArchivedSoFar {
  /** Since {@link ArchivedSoFar.lastArchived} was; null where nothing was. */
  secondsAgo: number | null;
  /** Whether WAL comes into the archive by something else, as by pg_receivewal, where the archiver is not used. */
  isReceived: boolean;
  /** Why nothing will be archived, or WAL does not come into the archive as it should, in two halves; undefined where nothing speaks against it. */
  trouble: Trouble | undefined;
}

interface Trouble { problem: string; remedy: string; mayPass: boolean }

/** Asks for it, and looks into the archive where the archiver is not used. Changes nothing. */
export async function askArchiver(client: Client, walDirectory: string): Promise<Archiver> {
  const { rows } = await client.query<ArchivedSoFar & State & Pick<Archiver, 'secondsAgo'> & { present: string | null }>(`
    SELECT current_setting('archive_mode') AS mode, current_setting('archive_command') = '' AND coalesce(current_setting('archive_library', true), '') = '' AS "hasNoCommand",
      last_archived_wal AS "lastArchived", last_failed_wal AS failed, failed_count::text AS failures,
      coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
      extract(epoch FROM now() - last_archived_time)::float8 AS "secondsAgo", pg_size_bytes(current_setting('wal_segment_size'))::int AS "segmentSize",
      (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
      CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_insert_lsn()) END AS present
    FROM pg_stat_archiver`);
  const [row] = rows;
  if (!row) throw new Error('the source said nothing of its archiver');
  const { lastArchived, secondsAgo, segmentSize, systemIdentifier } = row;
  const known = { lastArchived, secondsAgo, segmentSize, systemIdentifier };
  const trouble = troubleOf(row);
  if (!trouble || trouble.mayPass) return { ...known, isReceived: false, trouble };
  const behind = await receivedBehind(walDirectory, { lastArchived: row.present, segmentSize, systemIdentifier }, lastArchived);
  return { ...known, isReceived: behind !== undefined, trouble: behind === undefined ? trouble : lagOf(behind, walDirectory, trouble) };
}

interface State { mode: string; hasNoCommand: boolean; failing: boolean; failed: string | null; failures: string }

function troubleOf({ mode, hasNoCommand, failing, failed, failures }: State): Trouble | undefined {
  const copying = 'archive_command to copy into provider.walDirectory';
  if (mode === 'off') return { problem: 'archive_mode is off: nothing can be recovered after the last base backup', remedy: `set archive_mode = on and ${copying}, then restart the source`, mayPass: false };
  if (hasNoCommand) return { problem: 'archive_command is empty: WAL is kept and not archived', remedy: `set ${copying}, and reload the source`, mayPass: false };
  if (failing) return { problem: `the last attempt failed, on ${failed} (${failures} failures so far)`, remedy: "look for archive_command in the source's log; WAL piles up until it works", mayPass: true };
  return undefined;
}

/** The source goes on to write while what it wrote is brought over: what lacks a few segments may have them in a moment. */
function lagOf(behind: bigint, walDirectory: string, unused: Trouble): Trouble | undefined {
  if (behind <= 1n) return undefined;
  const lacking = behind === 2n ? 'the last segment' : `the last ${behind - 1n} segments`;
  return { problem: `is not used, and ${walDirectory} lacks ${lacking}`, remedy: `look whether what brings WAL there (pg_receivewal, say) still runs and keeps up; where nothing does, ${unused.remedy}`, mayPass: true };
}
