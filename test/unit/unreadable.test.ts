import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { ApplicationFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lookAnew } from '../../activities/archive/arrival.ts';
import { archiveLayout, listRecoveryPoints, readProven, readRecoveryPoint, type ArchiveLayout } from '../../activities/archive/layout.ts';
import { RecoveryFailure } from '../../activities/archive/recovery-failure.ts';
import { isHostUnableToRead, unreadable } from '../../activities/archive/unreadable.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { copyVerified } from '../../activities/archive/verified-copy.ts';
import { checkWalContinuity, readLineage } from '../../activities/archive/wal.ts';
import { chooseManifestBefore, manifestsDirectory } from '../../activities/archive-provider/manifests.ts';

const said = (code: string, message = code) => unreadable('/wal', Object.assign(new Error(message), { code }), ['00000002.history']);

describe('an archive that cannot be read is said with what to do', () => {
  it('which is to let the user that asks read it, by name and number, where that is refused', () => {
    const failure = said('EACCES', "EACCES: permission denied, scandir '/wal'");
    expect(failure).toMatchObject({ type: 'UNREADABLE', files: ['00000002.history'], mayPass: false, cause: { code: 'EACCES' } });
    expect(failure.message).toBe(`/wal cannot be read: EACCES: permission denied, scandir '/wal'; let the user that the worker runs as (here: ${userInfo().username}, uid ${process.geteuid?.()}) read it, and enter every directory above it.`);
    expect(said('EPERM').message).toContain('let the user that the worker runs as');
  });

  it.each([
    ...['EIO', 'ESTALE', 'ENOTCONN', 'ESOMETHING'].map((code) => [code, /; look at the file system that it lies on: whether it is mounted, and /] as const),
    ...['ENOTDIR', 'EISDIR', 'ELOOP'].map((code) => [code, /; look what lies there, whether its file system is mounted, and whether .*provider\.repository, provider\.walDirectory/] as const),
    ...['EMFILE', 'ENFILE', 'ENOMEM'].map((code) => [code, /; look what else on this host takes memory or open files/] as const),
  ])('which is told by the error: %s', (code, advice) => {
    expect(said(code).message).toMatch(advice);
    expect(said(code).message).toMatch(/\.$/);
  });

  it('and that it may pass, where it is this host or its file servers that fail: by itself where it is one disk, and all that lies there where it is not', () => {
    const codes = ['EMFILE', 'ENFILE', 'ENOMEM', 'ESTALE', 'ENOTCONN', 'ETIMEDOUT', 'EIO', 'EACCES', 'ENOTDIR'];
    expect(codes.filter((code) => said(code).mayPass)).toEqual(codes.slice(0, 7));
    expect(codes.filter((code) => isHostUnableToRead(said(code)))).toEqual(codes.slice(0, 6));
    expect(codes.map((code) => (classify(said(code)) as ApplicationFailure).nonRetryable)).toEqual([...Array(7).fill(false), true, true]);
  });
});

describe('whoever reads of the archive says so', () => {
  let root: string;
  let layout: ArchiveLayout;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'unreadable-'));
    layout = archiveLayout({ root });
  });
  afterEach(() => rmSync(root, { recursive: true }));
  /** A file where a directory should be, or the other way round: what root cannot read either. */
  const file = (path: string) => writeFileSync(path, '');
  const directory = (path: string) => { mkdirSync(path, { recursive: true }); return path; };
  const copying = () => copyVerified({ source: root, target: directory(join(root, 'copy')), files: { directories: [], files: [] }, reserveBytes: 0, marker: { name: 'UNREADABLE_TEST', value: '1' } });

  it.each<[string, string[], () => Promise<unknown>]>([
    ['the backups', [], () => { file(layout.backups); return listRecoveryPoints(layout); }],
    ['what describes a backup', [], () => { directory(join(layout.backups, 'b1', 'backup.json')); return readRecoveryPoint({ layout, id: 'b1' }); }],
    ['a file of a backup', ['files.json'], () => readProven(directory(join(root, 'files.json')), '0')],
    ['the files of a backup', [], () => { file(join(root, 'data')); return copying(); }],
    ['the WAL', [], () => { file(layout.wal); return checkWalContinuity({ walDirectory: layout.wal, timeline: 1, startLsn: 0n, mustReachLsn: 1n, segmentSize: 2 ** 20, asOf: new Date() }); }],
    ['a history', ['00000002.history'], () => { directory(join(layout.wal, '00000002.history')); return readLineage({ walDirectory: layout.wal, timeline: 2 }); }],
    ['a segment', ['loop'], () => { symlinkSync('loop', join(root, 'loop')); return lookAnew(join(root, 'loop')); }],
    ['manifests', [], () => { file(manifestsDirectory(layout)); return chooseManifestBefore(layout, new Date().toISOString()); }],
  ])('%s', async (_what, files, read) => {
    const failure = await read().then(() => undefined, (error: unknown) => error);
    expect(failure).toBeInstanceOf(RecoveryFailure);
    expect(failure).toMatchObject({ type: 'UNREADABLE', files, message: expect.stringMatching(/ cannot be read: E[A-Z]+: .*; look what lies there, whether its file system is mounted, and .*\.$/) as string });
  });
});
