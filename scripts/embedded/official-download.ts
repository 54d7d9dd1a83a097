import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

/** Temporal's own download service, the one its SDKs use (sdk-core, `ephemeral_server/mod.rs`). */
const SERVICE = 'https://temporal.download';

/** Until the service answers at all. Short: a machine behind a firewall must not wait long for the next way. */
const ANSWER_TIMEOUT_MS = 5_000;

/** For the whole archive, tens of megabytes. */
const TRANSFER_TIMEOUT_MS = 300_000;

/** A program that Temporal publishes. */
export interface OfficialProgram {
  readonly artifact: 'cli' | 'temporal-test-server';
  /** A release such as `v1.8.2`, or `default`. */
  readonly version: string;
}

/**
 * Downloads and unpacks an official program into `directory`, and returns the path of its executable.
 *
 * @throws Error when the service does not answer within seconds, or has nothing for this platform
 */
export async function downloadOfficial({ artifact, version }: OfficialProgram, directory: string): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const query = new URLSearchParams({ arch: architecture, platform, format: 'tar.gz' });
  const information = await fetch(`${SERVICE}/${artifact}/${version}?${query.toString()}`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) }).catch(unreachable);
  if (!information.ok) throw new Error(`${SERVICE} has no ${artifact} ${version} for ${platform}/${architecture} (HTTP ${information.status})`);
  const { archiveUrl, fileToExtract } = (await information.json()) as { archiveUrl?: unknown; fileToExtract?: unknown };
  if (typeof archiveUrl !== 'string' || typeof fileToExtract !== 'string') throw new Error(`${SERVICE} gave an answer that this version does not understand`);
  const archive = await fetch(archiveUrl, { signal: AbortSignal.timeout(TRANSFER_TIMEOUT_MS) }).catch(unreachable);
  if (!archive.ok || archive.body === null) throw new Error(`download of ${artifact} ${version} failed (HTTP ${archive.status})`);
  await unpack(archive.body as ReadableStream, directory);
  return join(directory, fileToExtract);
}

/** A failed fetch says only "fetch failed"; its cause has the reason. */
function unreachable(error: unknown): never {
  const { cause, message } = error as Error;
  throw new Error(`${SERVICE} cannot be reached (${cause instanceof Error ? cause.message : message})`, { cause: error });
}

async function unpack(archive: ReadableStream, directory: string): Promise<void> {
  const tar = spawn('tar', ['-xzf', '-', '-C', directory], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = once(tar, 'close') as Promise<[number | null]>;
  const [, [code]] = await Promise.all([pipeline(Readable.fromWeb(archive), tar.stdin), ended]);
  if (code !== 0) throw new Error(`tar could not unpack the archive (exit code ${code})`);
}
