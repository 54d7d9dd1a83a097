import { chmod, copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory } from '../../workers/user-directories.ts';
import { OLDEST_TEMPORAL_CLI, whyUnfit } from './cli-version.ts';
import { fillAtomically, isExecutable } from './fill-atomically.ts';
import { buildWithGo, hasGo, SMALLER } from './go-build.ts';
import { downloadOfficial } from './official-download.ts';

/** Server 1.31.2, web UI 2.50.1. Newer than 1.8 cannot be built from Go modules. */
export const TEMPORAL_CLI_VERSION = '1.8.2';

/** Where a Temporal CLI came from. */
export type TemporalCliSource = 'environment' | 'path' | 'cache' | 'download' | 'go-build';

/** An executable Temporal CLI. */
export interface TemporalCli {
  readonly path: string;
  readonly source: TemporalCliSource;
}

/** What {@link resolveTemporalCli} may use; the environment is an argument so that tests can give another. */
export interface ResolveTemporalCliOptions {
  /** Told what is going on, one sentence at a time. */
  readonly log: (line: string) => void;
  readonly environment?: NodeJS.ProcessEnv;
  /** How long one may take to say its version, in milliseconds. */
  readonly versionMs?: number;
}

/**
 * Finds a Temporal CLI: `TEMPORAL_CLI_PATH`, `temporal` on PATH, our cache, the official download, a build with Go.
 * What was downloaded or built stays in the cache. One on PATH that is too old for extensions is passed over; one that somebody named
 * is taken all the same, since it is their word. Either is said.
 *
 * @throws Error with one sentence that lists what was tried and what to do
 */
export async function resolveTemporalCli({ log, environment = process.env, versionMs }: ResolveTemporalCliOptions): Promise<TemporalCli> {
  const named = environment['TEMPORAL_CLI_PATH'];
  if (named) {
    if (!(await isExecutable(named))) throw new Error(`TEMPORAL_CLI_PATH names ${named}, which is not an executable file`);
    const unfit = await whyUnfit(named, environment, versionMs);
    if (unfit !== undefined) log(`TEMPORAL_CLI_PATH names ${named}, which ${unfit}; it is used all the same, and \`temporal runbook\` may not work`);
    return { path: named, source: 'environment' };
  }
  for (const path of await findOnPath(environment['PATH'] ?? '')) {
    const unfit = await whyUnfit(path, environment, versionMs);
    if (unfit === undefined) return { path, source: 'path' };
    log(`passing over ${path}, which ${unfit}`);
  }

  const directory = join(cacheDirectory(environment), `temporal-cli-${TEMPORAL_CLI_VERSION}`);
  const path = join(directory, 'temporal');
  if (await isExecutable(path)) return { path, source: 'cache' };

  log(`downloading Temporal CLI ${TEMPORAL_CLI_VERSION} into ${directory}`);
  try {
    await fillAtomically(directory, async (unfinished) => {
      const program = await downloadOfficial({ artifact: 'cli', version: `v${TEMPORAL_CLI_VERSION}` }, unfinished);
      await rename(program, join(unfinished, 'temporal'));
      await chmod(join(unfinished, 'temporal'), 0o755);
    });
    return { path, source: 'download' };
  } catch (error) {
    log(`${(error as Error).message}; trying to build it with Go instead`);
  }
  await buildCli(directory, environment, log);
  return { path, source: 'go-build' };
}

/** `temporal` exactly: our own extensions `temporal-runbook` and `temporal-workflow-…` are on PATH too. */
async function findOnPath(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const directory of new Set(path.split(delimiter))) {
    const candidate = join(directory, 'temporal');
    if (directory !== '' && (await isExecutable(candidate))) found.push(candidate);
  }
  return found;
}

async function buildCli(directory: string, environment: NodeJS.ProcessEnv, log: (line: string) => void): Promise<void> {
  const advice = `install the Temporal CLI, ${OLDEST_TEMPORAL_CLI} or newer, so that \`temporal\` is on PATH, or set TEMPORAL_CLI_PATH, or install Go 1.26`;
  if (!(await hasGo(environment))) {
    throw new Error(`no Temporal CLI: none that will do is on PATH, the official download cannot be used and Go is not installed; ${advice}`);
  }
  log(`building Temporal CLI ${TEMPORAL_CLI_VERSION} with Go into ${directory}; the first time takes about 4 minutes`);
  const moduleFiles = fileURLToPath(new URL('go-module/', import.meta.url));
  await buildWithGo({ name: 'the Temporal CLI', directory, environment, advice }, async (go, unfinished) => {
    const [module, program] = [join(unfinished, 'module'), join(unfinished, 'temporal')];
    await mkdir(module);
    for (const file of ['go.mod', 'go.sum']) await copyFile(join(moduleFiles, file), join(module, file));
    await go(['build', ...SMALLER, '-o', program, 'github.com/temporalio/cli/cmd/temporal'], { cwd: module });
    await rm(module, { recursive: true });
  });
}
