import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

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

/** For each copy that is begun until the test is over: a copy is started by the first `ionice` of the search path. */
export function copyToSlowDisks(root: string) {
  const disk = makeSlowDisk(root);
  writeFileSync(join(root, 'ionice'), `#!/bin/sh\nexec "$3" --import '${disk.hook}' "$4"\n`, { mode: 0o700 });
  const path = process.env['PATH'];
  process.env['PATH'] = `${root}:${path}`;
  onTestFinished(() => { process.env['PATH'] = path; });
  return disk;
}
