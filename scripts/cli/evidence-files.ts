import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { viewOf } from '../../activities/evidence/redacted-view.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { CommandError, EXIT } from './exit.ts';

/** Evidence and the file that holds it. */
export interface StoredEvidence { file: string; evidence: Evidence }

/** The bytes of a file that people name. @throws CommandError with a sentence when it cannot be read */
export async function readBytes(file: string): Promise<Uint8Array> {
  return readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new CommandError(EXIT.usage, `${file} cannot be read (${cause.code ?? cause.message})`, { cause });
  });
}

/** Evidence for people, also where values were redacted. @throws CommandError with a sentence when it is none */
export function parseEvidence(bytes: Uint8Array, file: string): Evidence {
  const { evidence, problem } = viewOf(jsonOf(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)));
  if (evidence) return evidence;
  throw new CommandError(EXIT.usage, `${file} is not the evidence of a run${problem ? ` (${problem.path.join('.') || 'file'}: ${problem.message})` : ''}; give its .json file`);
}

/** All evidence of a directory, newest start first. What is not evidence is left out and counted. */
export async function listEvidence(directory: string): Promise<{ found: StoredEvidence[]; unreadable: string[] }> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new CommandError(EXIT.usage, `the evidence directory ${directory} cannot be read (${error.code ?? error.message})`, { cause: error });
  });
  const found: StoredEvidence[] = [];
  const unreadable: string[] = [];
  for (const name of names.filter((candidate) => candidate.endsWith('.json'))) {
    const file = join(directory, name);
    const evidence = await readBytes(file).then((bytes) => parseEvidence(bytes, file)).catch(() => undefined);
    if (evidence) found.push({ file, evidence });
    else unreadable.push(file);
  }
  return { found: found.sort((a, b) => b.evidence.startedAt.localeCompare(a.evidence.startedAt)), unreadable };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
