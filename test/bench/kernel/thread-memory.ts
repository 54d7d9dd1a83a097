/**
 * Loaded into every thread of a worker process, since a thread can only collect its own garbage: on request each does so
 * and says what its heap then holds. `node --expose-gc --import THIS worker-process.js`.
 */
import { getHeapStatistics } from 'node:v8';
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

/** What a thread's heap holds, in bytes. */
export interface ThreadMemory { threadId: number; used: number; reserved: number; external: number }

/** Name of the BroadcastChannel on which all threads are asked at once. */
export const REQUESTS = 'bench-collect';
/** Name of the BroadcastChannel on which each thread answers with its {@link ThreadMemory}. */
export const ANSWERS = 'bench-collected';

/** Twice: what finalizers let go of is garbage only then. */
export function collect(): ThreadMemory {
  for (const _ of [1, 2]) globalThis.gc?.();
  const { used_heap_size: used, total_heap_size: reserved, external_memory: external } = getHeapStatistics();
  return { threadId, used, reserved, external };
}

if (!isMainThread) {
  const requests = new BroadcastChannel(REQUESTS);
  const answers = new BroadcastChannel(ANSWERS);
  requests.onmessage = () => answers.postMessage(collect());
  // Types know them as the web's, which cannot be unreferenced; the thread must be able to end.
  for (const channel of [requests, answers]) (channel as unknown as { unref(): void }).unref();
}
