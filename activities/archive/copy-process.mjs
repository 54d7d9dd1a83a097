// @ts-check
// Plain JavaScript: it is started as a process and as worker threads of its own, from the sources as well as from the
// build, and Node 20 starts no TypeScript. Copies files while hashing them; speaks with `copy-files.ts` over IPC.
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** @typedef {import('./copy-files.ts').CopyRequest} CopyRequest */
/** @typedef {import('./copy-files.ts').CopiedFile} CopiedFile */
/** @typedef {{ request: CopyRequest, shared: SharedArrayBuffer }} Shared */

const BUFFER_BYTES = 1024 * 1024;
/** Of one file, before it is worth a trip to the disk of its own: a segment of WAL, or a tenth of a second of a slow disk. */
const FLUSH_BYTES = 16 * BUFFER_BYTES;
// Shared 64-bit slots: the next file, bytes done, and when (in µs) the next bytes may flow under a throttle.
const [NEXT_FILE, BYTES_DONE, FLOWS_AT] = [0, 1, 2];
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_WRONLY, O_CREAT, O_EXCL } = fs.constants;

if (isMainThread) startProcess();
else copyShare(workerData);

function startProcess() {
  // Nobody waits for the copy any more: the next attempt begins cleanly, so end at once, threads included.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  // A worker that is nicer than that already may not be less so, unless it is root.
  setPriority(Math.max(10, getPriority()));
  process.once('message', (request) => {
    run(/** @type {CopyRequest} */ (request)).then(
      ({ files, flushed }) => {
        // For people who look; and whoever watches for copies sees that this is none any more.
        process.title = 'runbook: drill to disk';
        process.send?.({ done: files }, () => void flushed.finally(() => process.exit(0)));
      },
      (error) => process.send?.({ failed: { code: error.code ?? 'FAILED', message: error.message } }, () => process.exit(1)),
    );
  });
  process.send?.({ ready: true });
}

/**
 * Resolves when all is copied; `flushed`, when the disk has it too, as far as that was asked for.
 * @param {CopyRequest} request
 */
async function run(request) {
  const total = request.jobs.reduce((sum, job) => sum + job.size, 0);
  checkSpace(request, total);
  for (const directory of request.directories) {
    // Never recursive: a stalled predecessor must not bring back a drill that was destroyed meanwhile.
    fs.mkdirSync(directory, { mode: 0o700 });
    if (request.owner) giveAway(directory, request.owner);
  }
  const shared = new SharedArrayBuffer(24);
  const slots = new BigInt64Array(shared);
  const flusher = createFlusher();
  const watch = setInterval(() => {
    process.send?.({ bytesDone: Number(Atomics.load(slots, BYTES_DONE)) });
    try {
      checkSpace(request, 0);
    } catch (error) {
      clearInterval(watch);
      const { message } = /** @type {Error} */ (error);
      process.send?.({ failed: { code: 'NOT_ENOUGH_SPACE', message } }, () => process.kill(process.pid, 'SIGKILL'));
    }
  }, 200);
  /** @type {(CopiedFile)[]} */
  const results = new Array(request.jobs.length);
  try {
    await Promise.all(Array.from({ length: request.threads }, () => startThread({ request, shared }, results, (path) => flusher.add(path))));
  } finally {
    clearInterval(watch);
  }
  return { files: results, flushed: flusher.idle() };
}

/**
 * Brings files to the disk while others are copied, one at a time and by this process's priority. Left to the system
 * until a server asks for it, gigabytes of them would keep that waiting, and whoever else writes to the disk.
 */
function createFlusher() {
  /** @type {Set<string>} */
  const waiting = new Set();
  /** @type {Promise<void> | undefined} */
  let work;
  const flushAll = async () => {
    for (const path of waiting) {
      waiting.delete(path);
      // It only makes things faster: whoever needs a file on the disk asks for that, and is told when it fails.
      await flushFile(path).catch(() => undefined);
    }
    work = undefined;
  };
  return {
    /** @param {string} path */
    add(path) {
      waiting.add(path);
      work ??= flushAll();
    },
    idle: async () => work,
  };
}

/** @param {string} path */
async function flushFile(path) {
  const file = await fs.promises.open(path, O_RDONLY | O_NOFOLLOW);
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

/**
 * The very directory that was made, and not what a link in its place leads to.
 * @param {string} directory
 * @param {{ uid: number, gid: number }} owner
 */
function giveAway(directory, owner) {
  const made = fs.openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    fs.fchownSync(made, owner.uid, owner.gid);
  } finally {
    fs.closeSync(made);
  }
}

/**
 * @param {Shared} data
 * @param {CopiedFile[]} results
 * @param {(path: string) => void} flush
 */
function startThread(data, results, flush) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    worker.on('message', (/** @type {{ batch: [number, CopiedFile][] } | { written: string }} */ message) => {
      if ('written' in message) flush(message.written);
      else for (const [index, result] of message.batch) results[index] = result;
    });
    worker.on('error', reject);
    worker.on('exit', resolve);
  });
}

/** @param {Shared} data */
function copyShare({ request, shared }) {
  const slots = new BigInt64Array(shared);
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  /** Devices of which files cannot be cloned to where they go. @type {Set<number>} */
  const apart = new Set();
  /** @type {[number, CopiedFile][]} */
  const batch = [];
  for (;;) {
    const index = Number(Atomics.add(slots, NEXT_FILE, 1n));
    const job = request.jobs[index];
    if (!job) break;
    batch.push([index, copyOne(job, request, slots, buffer, apart)]);
  }
  parentPort?.postMessage({ batch });
}

/**
 * @param {CopyRequest['jobs'][number]} job
 * @param {CopyRequest} request
 * @param {BigInt64Array} slots
 * @param {Buffer} buffer
 * @param {Set<number>} apart
 * @returns {CopiedFile}
 */
function copyOne(job, request, slots, buffer, apart) {
  let source;
  try {
    source = fs.openSync(job.source, O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    const code = /** @type {NodeJS.ErrnoException} */ (error).code;
    if (code === 'ENOENT') return { state: 'missing' };
    if (code === 'ELOOP') return { state: 'symlink' };
    throw error;
  }
  let target = -1;
  try {
    const hash = request.sums === false ? undefined : createHash('sha256');
    if (request.reflink !== false && clone(source, job, apart)) {
      fs.closeSync(source);
      // What counts is what the restored server will read.
      source = fs.openSync(job.target, O_RDONLY | O_NOFOLLOW);
      fs.fchmodSync(source, 0o600);
      if (request.owner) fs.fchownSync(source, request.owner.uid, request.owner.gid);
    } else {
      target = fs.openSync(job.target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      if (request.owner) fs.fchownSync(target, request.owner.uid, request.owner.gid);
    }
    let size = 0;
    let flushedTo = 0;
    const flushFrom = (/** @type {number} */ least) => {
      if (!request.flush || target < 0 || size - flushedTo < least) return;
      flushedTo = size;
      parentPort?.postMessage({ written: job.target });
    };
    for (;;) {
      const bytes = fs.readSync(source, buffer, 0, BUFFER_BYTES, null);
      if (bytes === 0) break;
      if (request.bytesPerSecond) waitForTurn(slots, bytes, request.bytesPerSecond);
      const chunk = buffer.subarray(0, bytes);
      hash?.update(chunk);
      for (let written = 0; target >= 0 && written < bytes; ) written += fs.writeSync(target, buffer, written, bytes - written);
      size += bytes;
      Atomics.add(slots, BYTES_DONE, BigInt(bytes));
      flushFrom(FLUSH_BYTES);
    }
    if (flushedTo > 0) flushFrom(1);
    return { state: 'copied', size, sha256: hash?.digest('hex') ?? '' };
  } finally {
    fs.closeSync(source);
    if (target >= 0) fs.closeSync(target);
  }
}

/**
 * Whether a file now shares its blocks with its copy. Of one backup some files can and others cannot, as where a tablespace
 * lies on a disk of its own: what cannot is to be copied, and no other file of its device is tried by this thread.
 * @param {number} source open for reading
 * @param {CopyRequest['jobs'][number]} job
 * @param {Set<number>} apart
 */
function clone(source, job, apart) {
  const { dev } = fs.fstatSync(source);
  if (apart.has(dev)) return false;
  try {
    fs.copyFileSync(job.source, job.target, fs.constants.COPYFILE_FICLONE_FORCE | fs.constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    // Nothing is left of it. Whatever is wrong besides, such as a full disk, the copy meets as well and says; and what was
    // removed meanwhile is open.
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') apart.add(dev);
    return false;
  }
}

/**
 * Takes a place in one queue shared by all threads, and sleeps until it is this thread's turn.
 * @param {BigInt64Array} slots
 * @param {number} bytes
 * @param {number} bytesPerSecond
 */
function waitForTurn(slots, bytes, bytesPerSecond) {
  const cost = BigInt(Math.ceil((bytes * 1e6) / bytesPerSecond));
  for (;;) {
    const now = process.hrtime.bigint() / 1000n;
    const free = Atomics.load(slots, FLOWS_AT);
    const start = free > now ? free : now;
    if (Atomics.compareExchange(slots, FLOWS_AT, free, start + cost) !== free) continue;
    if (start > now) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(start - now) / 1000);
    return;
  }
}

/**
 * @param {CopyRequest} request
 * @param {number} needed
 */
function checkSpace(request, needed) {
  if (request.reserveBytes === undefined) return;
  const { bavail, bsize } = fs.statfsSync(request.spaceOf);
  const left = bavail * bsize - needed;
  if (left >= request.reserveBytes) return;
  const megabytes = (/** @type {number} */ bytes) => Math.round(bytes / 1e6);
  const error = new Error(
    `${request.spaceOf} has ${megabytes(bavail * bsize)} MB free; ${needed ? `the copy needs ${megabytes(needed)} MB and ` : ''}` +
      `${megabytes(request.reserveBytes)} MB must stay free`,
  );
  throw Object.assign(error, { code: 'NOT_ENOUGH_SPACE' });
}
