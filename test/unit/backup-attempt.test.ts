import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAttempt } from '../../activities/backup/backup-attempt.ts';

describe('the directory of an attempt of a base backup', () => {
  let place: string;
  beforeEach(async () => {
    place = await mkdtemp(join(tmpdir(), 'drb-attempts-'));
    await writeFile(join(place, 'place.json'), '{}');
  });
  afterEach(() => rm(place, { recursive: true, force: true }));
  const half = (name: string) => mkdir(join(place, name, 'data'), { recursive: true });

  it('never meets what an earlier one left', async () => {
    await half('attempt-1');
    expect(await openAttempt(place, 2)).toBe('attempt-2');
    expect(await readdir(place)).toEqual(['attempt-2', 'place.json']);
  });

  it('is made anew when the same one is tried again', async () => {
    await half('attempt-2');
    expect(await openAttempt(place, 2)).toBe('attempt-2');
    expect(await readdir(join(place, 'attempt-2'))).toEqual([]);
  });

  it('is taken over from one that finished, whose reply was lost', async () => {
    await half('attempt-1');
    await writeFile(join(place, 'attempt-1', 'backup.json'), '{}');
    expect(await openAttempt(place, 2)).toBe('attempt-1');
  });

  it('leaves alone what belongs to a later one: it was woken up, and is no longer the one that works', async () => {
    await half('attempt-3');
    await half('attempt-10');
    await openAttempt(place, 2);
    expect(await readdir(join(place, 'attempt-3'))).toEqual(['data']);
    expect(await readdir(join(place, 'attempt-10'))).toEqual(['data']);
  });

  it('removes nothing once it was stalled', async () => {
    await half('attempt-1');
    await expect(openAttempt(place, 2, AbortSignal.abort(new Error('stalled')))).rejects.toThrow('stalled');
    expect(await readdir(place)).toEqual(['attempt-1', 'place.json']);
  });

  it('is not made where the place is gone', async () => {
    await rm(place, { recursive: true });
    await expect(openAttempt(place, 4)).rejects.toMatchObject({ type: 'FENCED' });
  });
});
