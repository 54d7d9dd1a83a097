import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { DrillIdentity } from './drill-names.ts';

/** Shorter keys can be guessed. */
const LEAST_KEY = 32;

/**
 * The password of a drill's copy: made of a secret that all workers have and of the drill, so that none has to be kept or handed
 * on, and production's opens nothing. Letters, digits, `-` and `_`, which RDS takes.
 * @throws ApplicationFailure `CONFIGURATION`
 */
export async function drillPassword(keyFile: string, { owner, fence }: Pick<DrillIdentity, 'owner' | 'fence'>): Promise<string> {
  const key = await readFile(keyFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw ApplicationFailure.nonRetryable(`the key for passwords of drills cannot be read from ${keyFile} (${error.code}); correct provider.drill.passwordKeyFile`, 'CONFIGURATION');
  });
  if (key.trim().length < LEAST_KEY) throw ApplicationFailure.nonRetryable(`the key for passwords of drills in ${keyFile} has fewer than ${LEAST_KEY} characters; make one with: openssl rand -base64 32`, 'CONFIGURATION');
  return createHmac('sha256', key.trim()).update(`${owner.workflowId}\n${owner.firstExecutionRunId}\n${fence}`).digest('base64url').slice(0, 32);
}
