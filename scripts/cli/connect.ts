import { hostname } from 'node:os';
import { Client, Connection, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { loadConfiguration, type LoadedConfiguration } from '../../workers/config.ts';
import { ConfigurationError } from '../../workers/configuration-error.ts';
import { temporalConnectOptions, type TemporalFlags } from '../../workers/temporal-connection.ts';
import { CommandError, EXIT } from './exit.ts';
import { systemUser } from './output.ts';

/** A connection to Temporal, and how it was made. */
export interface Connected { client: Client; address: string; namespace: string; close: () => Promise<void> }

const CONNECT_MS = 5_000;
/** gRPC UNAVAILABLE, DEADLINE_EXCEEDED: nobody is there, or nobody answers in time. */
const NO_ANSWER = new Set([14, 4]);

/** Connects; a server that does not answer ends the command with exit code 3 and one sentence. */
export async function connect(flags: TemporalFlags): Promise<Connected> {
  const { address, namespace, connectionOptions } = await temporalConnectOptions(flags);
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: CONNECT_MS });
    return { client: new Client({ connection, namespace, identity: `runbook/${systemUser()}@${hostname()}` }), address, namespace, close: () => connection.close() };
  } catch (cause) {
    throw new CommandError(EXIT.unreachable, `no Temporal server answers at ${address} (${reasonOf(cause)}): start one with \`runbook dev\`, or name yours with --address, TEMPORAL_ADDRESS or a profile`, { cause });
  }
}

/** Runs a command against Temporal and closes the connection; errors of the server become sentences. */
export async function withClient<T>(flags: TemporalFlags, work: (connected: Connected) => Promise<T>): Promise<T> {
  const connected = await connect(flags);
  try {
    return await work(connected);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      throw new CommandError(EXIT.usage, `there is no run "${error.workflowId}" in namespace ${connected.namespace} at ${connected.address}; \`runbook runs\` lists them`, { cause: error });
    }
    if (isUnanswered(error)) throw new CommandError(EXIT.unreachable, `the Temporal server at ${connected.address} stopped answering (${reasonOf(error)}); try again`, { cause: error });
    throw error;
  } finally {
    await connected.close();
  }
}

/** Whether an error says that nobody answered, rather than what the answer was. */
export function isUnanswered(error: unknown): boolean {
  const grpc = isGrpcServiceError(error) ? error : (error as { cause?: unknown } | null)?.cause;
  return isGrpcServiceError(grpc) && NO_ANSWER.has(grpc.code);
}

/** What a failed call said, in one line. */
export function reasonOf(error: unknown): string {
  const cause = (error as { cause?: unknown }).cause ?? error;
  const details = (cause as { details?: unknown }).details;
  const text = typeof details === 'string' && details !== '' ? details : cause instanceof Error ? cause.message : String(cause);
  return text.split('\n')[0] ?? text;
}

/** The configuration where there is one; a machine that only starts and watches runs needs none. A broken one is an error all the same. */
export async function loadIfThere(file: string | undefined): Promise<LoadedConfiguration | undefined> {
  try {
    return await loadConfiguration(file);
  } catch (error) {
    const isAbsent = error instanceof ConfigurationError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
    if (isAbsent && file === undefined) return undefined;
    throw error;
  }
}
