import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askArchiver } from '../../activities/archive/archiver.ts';
import { segmentFileName } from '../../activities/archive/wal.ts';

const OURS = '7710768011619139241';
const NOW = 1_000n;
const segment = (segmentNumber: bigint) => segmentFileName({ timeline: 1, segmentNumber, segmentSize: 2 ** 24 });

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'archiver-'));
  for (const path of ['archive', 'data', 'data/pg_wal']) mkdirSync(join(root, path));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

/** One whose archive_mode is off, and which writes its segment {@link NOW}. */
function ask({ lastArchived = null, dataDirectory = join(root, 'data') }: { lastArchived?: string | null; dataDirectory?: string | null } = {}) {
  const row = {
    mode: 'off', hasNoCommand: true, lastArchived, failed: null, failures: '0', failing: false, secondsAgo: lastArchived === null ? null : 60,
    segmentSize: 2 ** 24, systemIdentifier: OURS, present: segment(NOW), dataDirectory,
  };
  return askArchiver({ query: () => Promise.resolve({ rows: [row] }) } as unknown as Client, join(root, 'archive'));
}
/** Brings a segment of its to the archive, now. */
function bring(segmentNumber: bigint): void {
  const header = Buffer.alloc(40);
  header.writeBigInt64LE(BigInt(OURS), 24);
  writeFileSync(join(root, 'archive', segment(segmentNumber)), header);
}
/** From here on it is so many minutes later than it is. */
function later(minutes: number): void {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, 'now').mockImplementation(() => now() + minutes * 60_000);
}
/** Has the source complete a segment so many minutes ago, by the time that it is said to be. */
function complete(segmentNumber: bigint, minutesAgo: number): void {
  const path = join(root, 'data', 'pg_wal', segment(segmentNumber));
  writeFileSync(path, '');
  const at = Date.now() / 1_000 - minutesAgo * 60;
  utimesSync(path, at, at);
}

describe('WAL that comes by something else than the archiver', () => {
  it('is none where nothing of it is there, or only what the archiver itself brought', async () => {
    const none = { isReceived: false, lag: undefined, trouble: { problem: 'archive_mode is off: nothing can be recovered after the last base backup', mayPass: false } };
    expect(await ask()).toMatchObject(none);
    bring(NOW - 1n);
    expect(await ask({ lastArchived: segment(NOW - 1n) })).toMatchObject(none);
    expect(await ask({ lastArchived: segment(NOW - 2n) })).toMatchObject({ isReceived: true, lag: undefined, trouble: undefined });
  });

  it('lacks nothing with all that is complete, however long ago that came', async () => {
    bring(NOW - 1n);
    later(10_000);
    expect(await ask()).toMatchObject({ isReceived: true, lag: undefined, trouble: undefined });
  });

  it('may come in batches: within ten minutes of one no number of segments is late, up to as many as behind archive_command', async () => {
    bring(NOW - 256n);
    later(8);
    expect(await ask({ dataDirectory: null })).toMatchObject({ isReceived: true, trouble: undefined, lag: { problem: `is not used, and ${join(root, 'archive')} lacks the last 255 segments`, remedy: expect.stringMatching(/still runs and keeps up; where nothing does, set archive_mode = on/) as string } });
  });

  it('is late where none came for longer, which may pass', async () => {
    bring(NOW - 2n);
    later(11);
    const late = { isReceived: true, lag: undefined, trouble: { problem: expect.stringMatching(/^is not used, .* lacks the last segment, and nothing came there for 1\d min \d\d s$/) as string, remedy: expect.stringMatching(/at least every 10 minutes.*; where nothing does, set archive_mode = on/) as string, mayPass: true } };
    expect(await ask()).toMatchObject(late);
    expect(await ask({ dataDirectory: null })).toMatchObject(late);
    complete(NOW - 1n, 11);
    expect(await ask()).toMatchObject(late);
    // A source that rested until a moment ago.
    complete(NOW - 1n, 1);
    expect(await ask()).toMatchObject({ isReceived: true, trouble: undefined, lag: { problem: expect.stringContaining('lacks the last segment') as string } });
  });

  it('that is farther behind is refused for good, and what is said names both ways out', async () => {
    bring(NOW - 257n);
    expect(await ask()).toMatchObject({
      isReceived: false, lag: undefined,
      trouble: { problem: `archive_mode is off: nothing can be recovered after the last base backup, and ${join(root, 'archive')} lacks the last 256 segments`, remedy: expect.stringMatching(/^look whether what brings WAL there .* keeps up; where nothing does, set archive_mode = on/) as string, mayPass: false },
    });
  });
});
