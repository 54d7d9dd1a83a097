import type { Client } from 'pg';
import { formatSeconds } from '../../contracts/quantities.ts';
import { ARCHIVE_TIMEOUT_MS, lookAtReceived, type ArchivedSoFar, type Received } from './archive-lag.ts';

/** A source's archiver, as the source says. */
export interface Archiver extends ArchivedSoFar {
  /** Since {@link ArchivedSoFar.lastArchived} was; null where nothing was. */
  secondsAgo: number | null;
  /** Whether WAL comes into the archive by something else, as by pg_receivewal, where the archiver is not used. */
  isReceived: boolean;
  /** Why nothing will be archived, or WAL does not come into the archive as it should, in two halves; undefined where nothing speaks against it. */
  trouble: Trouble | undefined;
  /** What the archive lacks of the WAL that comes by something else, where that may come at any time. */
  lag: InHalves | undefined;
}

interface InHalves { problem: string; remedy: string }
interface Trouble extends InHalves { mayPass: boolean }

/** Asks for it, and looks into the archive where the archiver is not used. Changes nothing. */
export async function askArchiver(client: Client, walDirectory: string): Promise<Archiver> {
  const { rows } = await client.query<ArchivedSoFar & State & Pick<Archiver, 'secondsAgo'> & { present: string | null; dataDirectory: string | null }>(`
    SELECT current_setting('archive_mode') AS mode, current_setting('archive_command') = '' AND coalesce(current_setting('archive_library', true), '') = '' AS "hasNoCommand",
      last_archived_wal AS "lastArchived", last_failed_wal AS failed, failed_count::text AS failures,
      coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
      extract(epoch FROM now() - last_archived_time)::float8 AS "secondsAgo", pg_size_bytes(current_setting('wal_segment_size'))::int AS "segmentSize",
      (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
      CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_insert_lsn()) END AS present,
      -- Not there for who may not read it.
      (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS "dataDirectory"
    FROM pg_stat_archiver`);
  const [row] = rows;
  if (!row) throw new Error('the source said nothing of its archiver');
  const { lastArchived, secondsAgo, segmentSize, systemIdentifier } = row;
  const known = { lastArchived, secondsAgo, segmentSize, systemIdentifier, lag: undefined };
  const trouble = troubleOf(row);
  if (!trouble || trouble.mayPass) return { ...known, isReceived: false, trouble };
  const received = await lookAtReceived(walDirectory, { lastArchived: row.present, segmentSize, systemIdentifier }, { byArchiver: lastArchived, dataDirectory: row.dataDirectory });
  return received ? { ...known, ...judge(received, walDirectory, trouble) } : { ...known, isReceived: false, trouble };
}

/** What is to be said of what comes into an archive by something else, where the archiver is not used, as `unused` says. */
function judge({ behind, quietMs, state }: Received, walDirectory: string, unused: Trouble): Pick<Archiver, 'isReceived' | 'trouble' | 'lag'> {
  const lacks = `${walDirectory} lacks ${behind === 2n ? 'the last segment' : `the last ${behind - 1n} segments`}`;
  const look = 'look whether what brings WAL there (pg_receivewal, say) still runs';
  const keepsUp = `${look} and keeps up; where nothing does, ${unused.remedy}`;
  switch (state) {
    case 'onItsWay': return { isReceived: true, trouble: undefined, lag: behind <= 1n ? undefined : { problem: `is not used, and ${lacks}`, remedy: keepsUp } };
    case 'late': return { isReceived: true, lag: undefined, trouble: {
      problem: `is not used, ${lacks}, and nothing came there for ${formatSeconds(quietMs / 1_000)}`,
      remedy: `${look}, at least every ${ARCHIVE_TIMEOUT_MS / 60_000} minutes, which is as long as a backup waits for its last segment; where nothing does, ${unused.remedy}`,
      mayPass: true,
    } };
    case 'far': return { isReceived: false, lag: undefined, trouble: { ...unused, problem: `${unused.problem}, and ${lacks}`, remedy: keepsUp } };
  }
}

interface State { mode: string; hasNoCommand: boolean; failing: boolean; failed: string | null; failures: string }

function troubleOf({ mode, hasNoCommand, failing, failed, failures }: State): Trouble | undefined {
  const copying = 'archive_command to copy into provider.walDirectory';
  if (mode === 'off') return { problem: 'archive_mode is off: nothing can be recovered after the last base backup', remedy: `set archive_mode = on and ${copying}, then restart the source`, mayPass: false };
  if (hasNoCommand) return { problem: 'archive_command is empty: WAL is kept and not archived', remedy: `set ${copying}, and reload the source`, mayPass: false };
  if (failing) return { problem: `the last attempt failed, on ${failed} (${failures} failures so far)`, remedy: "look for archive_command in the source's log; WAL piles up until it works", mayPass: true };
  return undefined;
}
