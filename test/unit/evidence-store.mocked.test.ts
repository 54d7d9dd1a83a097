import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import type * as files from 'node:fs/promises';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { describeEvidenceStore } from '../support/evidence-store-contract.ts';
import { memoryStore, type Bucket } from '../support/memory-store.ts';

/** What the file system has: a mounted bucket has no links, and a share that keeps everything removes nothing. */
const fileSystem = vi.hoisted(() => ({ hasLinks: true, removes: true, isFull: false, crowd: 0, syncedWith: [] as string[][], refusesToSync: null as string | null }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof files>();
  const denied = () => Promise.reject(Object.assign(new Error('not permitted'), { code: 'EPERM' }));
  return {
    ...real,
    readdir: (path: string, options: object) => (fileSystem.crowd > 0 ? Promise.resolve(Array.from({ length: fileSystem.crowd }, (_, index) => ({ name: `${index}.json`, isFile: () => true }))) : real.readdir(path, options)),
    stat: (path: string) => (fileSystem.crowd > 0 ? Promise.resolve({ size: 1, mtimeMs: 1 }) : real.stat(path)),
    link: (from: string, to: string) => (fileSystem.hasLinks ? real.link(from, to) : denied()),
    rm: (path: string, options: object) => (fileSystem.removes ? real.rm(path, options) : denied()),
    open: async (path: string, ...rest: [string, number]) => {
      const handle = await real.open(path, ...rest);
      if ((await handle.stat()).isDirectory()) {
        handle.sync = async () => {
          if (fileSystem.refusesToSync !== null) throw Object.assign(new Error('refused'), { code: fileSystem.refusesToSync });
          fileSystem.syncedWith.push(await real.readdir(path));
        };
      }
      // Without links, the file itself is what fails.
      if (fileSystem.isFull && (fileSystem.hasLinks || !path.endsWith('.part'))) handle.writeFile = () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
      return handle;
    },
  };
});

const inDirectory = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'drb-store-'));
  return { open: () => directoryStore(directory), remove: () => rm(directory, { recursive: true, force: true }) };
};

describeEvidenceStore('a directory', inDirectory);

describe('without links', () => {
  beforeEach(() => { fileSystem.hasLinks = false; });
  afterEach(() => { fileSystem.hasLinks = true; });
  describeEvidenceStore('a directory of a mounted bucket', inDirectory, { isWholeAtOnce: false });
});

describeEvidenceStore('an object store', () => {
  const bucket: Bucket = new Map();
  return Promise.resolve({ open: () => memoryStore(bucket), remove: () => Promise.resolve() });
});

describe('a directory', () => {
  let directory: string;
  beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'drb-store-')); });
  afterEach(() => {
    Object.assign(fileSystem, { hasLinks: true, removes: true, isFull: false, crowd: 0, syncedWith: [], refusesToSync: null });
    rmSync(directory, { recursive: true, force: true });
  });

  it.each([{}, { mustExist: true }])('lists what many years have left in it: %j', async (options) => {
    fileSystem.crowd = 200_000;
    await expect(directoryStore(directory, options).list()).resolves.toHaveLength(200_000);
  });

  it('that must exist is not made: what is missing may be a share that is not mounted', async () => {
    const share = directoryStore(join(directory, 'share'), { mustExist: true });
    await expect(share.putIfAbsent('a.json', '{}')).rejects.toThrow(/the directory is not there; mount it/);
    await expect(share.list()).rejects.toThrow(/the directory is not there/);
    expect(readdirSync(directory)).toEqual([]);
  });

  it.each([true, false])('keeps no half of what it had no space for (links: %s)', async (hasLinks) => {
    Object.assign(fileSystem, { hasLinks, isFull: true });
    await expect(directoryStore(directory).putIfAbsent('a.json', '{}')).rejects.toThrow('no space');
    expect(readdirSync(directory)).toEqual([]);
  });

  it.each([true, false])('has brought the name of what it took to the disk before it says that it has it, also where an attempt before died over that (links: %s)', async (hasLinks) => {
    Object.assign(fileSystem, { hasLinks });
    const store = directoryStore(directory);
    expect(await store.putIfAbsent('a.json', '{}')).toBe(true);
    expect(fileSystem.syncedWith.map((names) => names.includes('a.json'))).toEqual([true]);
    expect(await store.putIfAbsent('a.json', '{}')).toBe(false);
    expect(fileSystem.syncedWith).toHaveLength(2);
  });

  it('of a share that does not do that for directories takes evidence all the same, and one whose disk is broken does not', async () => {
    fileSystem.refusesToSync = 'EINVAL';
    expect(await directoryStore(directory).putIfAbsent('a.json', '{}')).toBe(true);
    fileSystem.refusesToSync = 'EIO';
    await expect(directoryStore(directory).putIfAbsent('b.json', '{}')).rejects.toThrow('refused');
  });

  it('that removes nothing takes evidence all the same', async () => {
    Object.assign(fileSystem, { hasLinks: false, removes: false });
    const store = directoryStore(directory);
    expect(await store.putIfAbsent('a.json', '{}')).toBe(true);
    expect((await store.list()).map(({ name }) => name)).toEqual(['a.json']);
  });

  it('is cleared of what a killed writer left of the same file, and of nothing else', async () => {
    for (const name of ['a.json.4711.part', 'a.json2.4711.part', 'b.json.4711.part']) await writeFile(join(directory, name), '{"half');
    await directoryStore(directory).putIfAbsent('a.json', '{}');
    expect(readdirSync(directory).sort()).toEqual(['a.json', 'a.json2.4711.part', 'b.json.4711.part']);
  });
});
