import { execFile } from 'node:child_process';
import { chmod, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../workers/user-directories.ts';
import { fillAtomically, isExecutable } from './fill-atomically.ts';
import { downloadOfficial } from './official-download.ts';

const run = promisify(execFile);

/** Release of Temporal's Java SDK that the test server belongs to. */
export const TEST_SERVER_VERSION = '1.38.0';

/** Where a time-skipping test server came from. */
export type TimeSkippingSource = 'environment' | 'cache' | 'download' | 'maven';

/** An executable test server; its path goes to `createTimeSkipping` as `existing-path`. */
export interface TimeSkippingServer {
  readonly path: string;
  readonly source: TimeSkippingSource;
}

/** What {@link resolveTimeSkippingServer} may use; the environment is an argument so that tests can give another. */
export interface ResolveTimeSkippingOptions {
  readonly log: (line: string) => void;
  readonly environment?: NodeJS.ProcessEnv;
}

/** 38 MB from a package registry: 2 seconds on a fast line. */
const MAVEN_TIMEOUT_MS = 10 * 60_000;

/**
 * Starts the server from its jars. The small loop ends it when the process that started it has gone: a test run that is
 * killed by -9 would otherwise leave a Java process behind.
 */
const LAUNCHER = `#!/bin/sh
parent=$PPID; server=$$
( while kill -0 "$parent" && kill -0 "$server"; do sleep 2; done; kill -KILL "$server" ) </dev/null >/dev/null 2>&1 &
exec java -cp "$(dirname "$0")/jars/*" io.temporal.testserver.TestServer "$@"
`;

const PROJECT = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>durable-runbooks</groupId><artifactId>embedded-test-server</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>io.temporal</groupId><artifactId>temporal-test-server</artifactId><version>${TEST_SERVER_VERSION}</version>
  </dependency></dependencies>
</project>
`;

/**
 * Finds a time-skipping test server: `TEMPORAL_TEST_SERVER_PATH`, our cache, the official download, the jars through Maven.
 *
 * @throws Error with one sentence that says what was tried and what to do
 */
export async function resolveTimeSkippingServer({ log, environment = process.env }: ResolveTimeSkippingOptions): Promise<TimeSkippingServer> {
  const named = environment['TEMPORAL_TEST_SERVER_PATH'];
  if (named) {
    if (!(await isExecutable(named))) throw new Error(`TEMPORAL_TEST_SERVER_PATH names ${named}, which is not an executable file`);
    return { path: named, source: 'environment' };
  }
  const directory = join(cacheDirectory(environment), `temporal-test-server-${TEST_SERVER_VERSION}`);
  const path = join(directory, 'temporal-test-server');
  if (await isExecutable(path)) return { path, source: 'cache' };

  log(`downloading the time-skipping test server ${TEST_SERVER_VERSION} into ${directory}`);
  try {
    await fillAtomically(directory, async (unfinished) => {
      const program = await downloadOfficial({ artifact: 'temporal-test-server', version: `v${TEST_SERVER_VERSION}` }, unfinished);
      await rename(program, join(unfinished, 'temporal-test-server'));
      await chmod(join(unfinished, 'temporal-test-server'), 0o755);
    });
    return { path, source: 'download' };
  } catch (error) {
    log(`${(error as Error).message}; trying its jars through Maven instead`);
  }
  await takeJars(directory, environment);
  return { path, source: 'maven' };
}

async function takeJars(directory: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const advice = 'install Java 17 and Maven, or set TEMPORAL_TEST_SERVER_PATH';
  for (const [program, flag] of [['java', '-version'], ['mvn', '--version']] as const) {
    const answers = await run(program, [flag], { env: environment }).then(() => true, () => false);
    if (!answers) throw new Error(`no time-skipping test server: the official download cannot be used and ${program} is not installed; ${advice}`);
  }
  await fillAtomically(directory, async (unfinished) => {
    const project = join(unfinished, 'pom.xml');
    await writeFile(project, PROJECT);
    await run('mvn', ['-B', '-q', '-f', project, 'dependency:copy-dependencies', `-DoutputDirectory=${join(unfinished, 'jars')}`, '-DincludeScope=runtime'], {
      env: environment, timeout: MAVEN_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024,
    }).catch((error: Error & { stdout?: string }) => {
      // Maven reports on standard output; its first error line names the cause.
      const reason = (error.stdout ?? '').split('\n').find((line) => line.startsWith('[ERROR]')) ?? error.message;
      throw new Error(`Maven could not fetch the time-skipping test server (${reason}); ${advice}`, { cause: error });
    });
    if (!(await readdir(join(unfinished, 'jars'))).some((name) => name.startsWith('temporal-test-server-'))) {
      throw new Error(`Maven fetched no temporal-test-server jar; ${advice}`);
    }
    await rm(project);
    await writeFile(join(unfinished, 'temporal-test-server'), LAUNCHER, { mode: 0o755 });
  });
}
