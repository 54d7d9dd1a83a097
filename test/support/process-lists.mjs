import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

/*
 * A thread of its own, so that nothing keeps it from looking: reads the process list again and again as `ps` shows it, and
 * the environment of each process that has the variable `workerData.variable`. On any message it answers with what it saw.
 */
const commands = new Set();
const environments = new Set();
const read = (pid, what) => {
  try {
    return readFileSync(`/proc/${pid}/${what}`, 'latin1').replaceAll('\0', ' ');
  } catch {
    // It has ended, or is somebody else's.
    return '';
  }
};
let looks = 0;
let isAsked = false;
parentPort?.once('message', () => { isAsked = true; });
/** How often each was seen. */
let known = new Map();
while (!isAsked) {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  known = new Map(pids.map((pid) => [pid, (known.get(pid) ?? 0) + 1]));
  for (const [pid, times] of known) {
    // Others become another program soon after their start, or show other words from time to time, as servers do.
    const isYoung = times <= 4;
    if (isYoung || looks % 4 === 0) commands.add(read(pid, 'cmdline'));
    if (!isYoung) continue;
    const environment = read(pid, 'environ');
    if (environment.includes(`${workerData.variable}=`)) environments.add(environment);
  }
  looks += 1;
  await sleep(5);
}
parentPort?.postMessage({ looks, commands: [...commands], environments: [...environments] });
