import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { mistakeIn } from '../../activities/drill/try-settings.ts';
import { inBriefDirectory, sweepBriefDirectories } from '../../activities/kernel/brief-directory.ts';
import { verifySignature } from '../../activities/kernel/verify-signature.ts';

let temporary: string;
beforeEach(() => {
  temporary = mkdtempSync(path.join(tmpdir(), 'brief-'));
  vi.stubEnv('TMPDIR', temporary);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(temporary, { recursive: true, force: true });
});
const sweep = () => sweepBriefDirectories({ onStuck: (_path, error) => { throw error; } });
const install = (program: string, script: string): string => {
  const directory = path.join(temporary, 'bin');
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, program), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return directory;
};
/** What a process that was killed in the middle leaves: as it is named, by one that is gone. */
const leftBy = (madeBy: string, suffix = 'abcDE1'): string => {
  const left = path.join(temporary, `durable-runbooks-brief-${madeBy}-${suffix}`);
  mkdirSync(path.join(left, 'part'), { recursive: true });
  return left;
};
const dead = () => spawnSync('true').pid;

describe('a directory for a moment', () => {
  it.each([
    ['the try of settings', 'postgres', (bin: string) => mistakeIn({ work_mem: '4MB' }, { binDirectory: bin })],
    ['the look at a signature', 'ssh-keygen', (bin: string) => {
      vi.stubEnv('PATH', bin);
      return verifySignature({ statement: 'x', signature: 'x', allowedSigners: path.join(temporary, 'signers') });
    }],
  ] as const)('is what %s is done in, under a name by which it is found when its process is killed', async (_what, program, work) => {
    const seen = path.join(temporary, 'seen');
    await work(install(program, `for one in ${temporary}/durable-*; do echo "$one" >> ${seen}; done; exit 1`));
    const during = readFileSync(seen, 'utf8').trim().split('\n');
    expect(during.map((one) => path.basename(one).replace(/......$/, ''))).toEqual([`durable-runbooks-brief-${hostname()}-${process.pid}-`]);
    expect(readdirSync(temporary).filter((name) => name.startsWith('durable-'))).toEqual([]);
  });

  it('goes once its process is gone, or after an hour, and none of another user, or host, or of somebody who works', async () => {
    const killed = leftBy(`${hostname()}-${dead()}`);
    const old = leftBy(`${hostname()}-${process.pid}`);
    utimesSync(old, 0, 0);
    const elsewhere = leftBy(`another-${hostname()}-${dead()}`);
    const strange = path.join(temporary, 'durable-runbooks-bin-0');
    mkdirSync(strange);
    utimesSync(strange, 0, 0);
    const kept = [elsewhere, strange];
    if (process.getuid?.() === 0) {
      const others = leftBy(`${hostname()}-${dead()}`, 'others');
      chownSync(others, 12345, 12345);
      kept.push(others);
    }
    await inBriefDirectory(async (mine) => {
      expect((await sweep()).toSorted()).toEqual([killed, old].toSorted());
      expect([...kept, mine].filter((one) => !existsSync(one))).toEqual([]);
    });
    expect([killed, old].filter((one) => existsSync(one))).toEqual([]);
  });
});
