import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hookCopies } from './hooked-copies.ts';

/** A disk that keeps nothing until `release`, for a copying process that imports `hook`; `lines` says what it was asked to keep. */
export function makeSlowDisk(root: string) {
  const [log, hook, released] = ['log', 'slow-disk.mjs', 'released'].map((name) => join(root, name)) as [string, string, string];
  writeFileSync(log, '');
  writeFileSync(hook, `
    import fs from 'node:fs';
    const open = fs.promises.open;
    fs.promises.open = async (path, ...more) => {
      const file = await open(path, ...more);
      file.datasync = async () => {
        fs.appendFileSync(${JSON.stringify(log)}, 'begun ' + path + '\\n');
        while (!fs.existsSync(${JSON.stringify(released)})) await new Promise((resolve) => setTimeout(resolve, 20));
        fs.appendFileSync(${JSON.stringify(log)}, 'kept ' + path + '\\n');
      };
      return file;
    };`);
  return { hook, release: () => writeFileSync(released, ''), lines: () => readFileSync(log, 'utf8').trim().split('\n') };
}

/** For each copy that is begun until the test is over. */
export function copyToSlowDisks(root: string) {
  const disk = makeSlowDisk(root);
  hookCopies(root, disk.hook);
  return disk;
}
