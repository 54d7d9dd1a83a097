import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

const LOOK_MS = 250;

/** Work of the kind that tests make: some native, some compiled. */
const PROGRAM = `
  const { createHash } = require('node:crypto');
  const block = Buffer.alloc(16_384, 7);
  let rounds = 0;
  for (const end = performance.now() + ${LOOK_MS}; performance.now() < end; rounds += 1) {
    createHash('sha256').update(block).digest();
    for (let index = 0, mixed = 0; index < 20_000; index += 1) mixed = (mixed * 31 + index) | 0;
  }
  require('node:worker_threads').parentPort.postMessage(rounds);
`;

/** Rounds in a second of two cores that are as fast as they were when five files at a time kept them busy, and no busier. */
const TWO_CORES = 26_000;

/**
 * How many files of tests that start servers are run at a time: five where all processors together are worth two good
 * cores, down to two. A machine that is shared has been seen to give a quarter of its speed from one hour to the next;
 * five at a time are then no sooner done, and wait for each other until Temporal gives their tasks to somebody else.
 */
export async function busyLanes(): Promise<number> {
  const rounds = await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    const worker = new Worker(PROGRAM, { eval: true });
    return new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  }));
  const perSecond = rounds.reduce((sum, one) => sum + one, 0) * 1_000 / LOOK_MS;
  return Math.min(5, Math.max(2, Math.round(5 * perSecond / TWO_CORES)));
}
