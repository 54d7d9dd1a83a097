#!/usr/bin/env node
/**
 * Gets the programs ready that tests and the demo run, and says in one line each where it was taken from or what is
 * missing. Exits 0 even when one is missing: only the tests that need it fail, and they name it again.
 */
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { resolveTemporalCli } from './temporal-cli.ts';
import { resolveTimeSkippingServer } from './time-skipping.ts';

const log = (line: string) => process.stdout.write(`  ${line}\n`);

await report('Temporal server', async () => {
  const { path, source } = await resolveTemporalCli({ log });
  return `${path} (${source})`;
});
await report('Time-skipping test server', async () => {
  const { path, source } = await resolveTimeSkippingServer({ log });
  return `${path} (${source})`;
});
await report('PostgreSQL', async () => {
  const { version, binDirectory, runAs } = await findPostgres();
  return `${version} in ${binDirectory}${runAs === undefined ? '' : `, run as uid ${runAs.uid}`}`;
});

async function report(name: string, resolve: () => Promise<string>): Promise<void> {
  log(`${name}: ${await resolve().catch((error: Error) => `MISSING: ${error.message}`)}`);
}
