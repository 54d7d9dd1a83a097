import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Each copy that is begun until the test is over imports `hook`: a copy is started by the first `ionice` of the search path. */
export function hookCopies(root: string, hook: string): void {
  writeFileSync(join(root, 'ionice'), `#!/bin/sh\nexec "$3" --import '${hook}' "$4"\n`, { mode: 0o700 });
  const path = process.env['PATH'];
  process.env['PATH'] = `${root}:${path}`;
  onTestFinished(() => { process.env['PATH'] = path; });
}
