import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { awaitSegment } from '../../activities/backup/await-archived.ts';

test('a segment is archived when its last byte is there, not its first', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'drb-await-'));
  const wait = (timeoutMs: number) => awaitSegment({ directory, segment: 's', segmentSize: 1000, timeoutMs, signal: new AbortController().signal, onWait: () => undefined });
  try {
    writeFileSync(join(directory, 's'), Buffer.alloc(999));
    await expect(wait(150)).rejects.toMatchObject({ type: 'WAL_MISSING' });
    const waiting = wait(10_000);
    appendFileSync(join(directory, 's'), Buffer.alloc(1));
    await waiting;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
