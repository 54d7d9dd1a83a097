import { hostname } from 'node:os';
import { Client, isGrpcServiceError, NamespaceNotFoundError, WorkflowNotFoundError } from '@temporalio/client';
import { quote } from '../../contracts/quote.ts';
import { loadConfiguration, type LoadedConfiguration } from '../../workers/config.ts';
import { ConfigurationError } from '../../workers/configuration-error.ts';
import { temporalConnectOptions } from '../../workers/temporal-connection.ts';
import { AdvisedError, CommandError, EXIT } from './exit.ts';
import { withNamedEnvironment, type GivenFlags } from './named-environment.ts';
import { systemUser } from './output.ts';
import { ourCommand } from './printed-command.ts';
import { connectClient } from '../client-connection.ts';

/** A connection to Temporal, and how it was made. */
export interface Connected { client: Client; address: string; namespace: string; close: () => Promise<void> }

/** What to do where no Temporal server answers. */
export const START_OR_NAME = 'start one with `runbook dev`, or name yours with --address, TEMPORAL_ADDRESS or a profile';

const CONNECT_MS = 5_000;
/** The longest that a timer of Node takes. */
const LONGEST_MS = 2 ** 31 - 1;
/** A history may have 50 MB, and gRPC's own limit of an answer is 4. A worker's connection takes as much. */
const LARGEST_ANSWER = { 'grpc.max_receive_message_length': 128 * 2 ** 20 };
/** gRPC UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED: nobody is there, or nobody answers in time; a deadline that passes while a call begins cancels it. */
const NO_ANSWER = new Set([14, 4, 1]);
/** gRPC PERMISSION_DENIED, UNAUTHENTICATED: the server does not take these credentials. */
const DENIED = new Set([7, 16]);
/** gRPC INVALID_ARGUMENT: what was asked for cannot be, such as an id that is too long. */
const INVALID = 3;
const FAILED_PRECONDITION = 9;
const NOT_FOUND = 5;

/** Connects. @throws AdvisedError with exit code 3 for a server that does not answer, with 2 for one that does not take these credentials */
export async function connect(given: GivenFlags): Promise<Connected> {
  const flags = await withNamedEnvironment(given);
  const { address, namespace, connectionOptions } = await temporalConnectOptions(flags);
  try {
    const connection = await connectClient({ ...connectionOptions, connectTimeout: Math.min(flags.connectTimeoutMs ?? CONNECT_MS, LONGEST_MS), channelArgs: LARGEST_ANSWER });
    return { client: new Client({ connection, namespace, identity: flags.identity ?? `runbook/${systemUser()}@${hostname()}` }), address, namespace, close: () => connection.close() };
  } catch (cause) {
    if (DENIED.has(codeOf(cause) ?? 0)) throw denied(cause, { address, namespace });
    if (/^ERR_(OSSL|TLS|CRYPTO)/.test(String((cause as { code?: unknown }).code))) throw unusableKeys(cause);
    throw new AdvisedError(EXIT.unreachable, { problem: `no Temporal server answers at ${address} (${reasonOf(cause)})`, todo: START_OR_NAME }, { cause });
  }
}

/** Runs a command against Temporal and closes the connection; errors of the server become sentences. */
export async function withClient<T>(flags: GivenFlags, work: (connected: Connected) => Promise<T>): Promise<T> {
  const connected = await connect(flags);
  try {
    return await work(connected);
  } catch (error) {
    throw inWords(error, connected, flags);
  } finally {
    await connected.close();
  }
}

/** What the server refused as a sentence that says what to change (an {@link AdvisedError} where that is known); anything else as it is. */
export function inWords(error: unknown, connected: Pick<Connected, 'address' | 'namespace'>, flags: GivenFlags): unknown {
  const { address, namespace } = connected;
  if (error instanceof WorkflowNotFoundError) {
    return new CommandError(EXIT.usage, `there is no run "${error.workflowId}" in namespace ${namespace} at ${address}; \`${ourCommand(flags, 'runs')}\` lists them`, { cause: error });
  }
  if (error instanceof NamespaceNotFoundError || (isGrpcServiceError(error) && error.code === NOT_FOUND && /namespace/i.test(error.details))) {
    return new AdvisedError(EXIT.usage, { problem: `there is no namespace "${namespace}" at ${address}`, todo: `name another with --namespace, TEMPORAL_NAMESPACE or a profile, or create it: temporal operator namespace create --namespace ${quote(namespace)} --address ${quote(address)}` }, { cause: error });
  }
  const code = codeOf(error);
  if (DENIED.has(code ?? 0)) return denied(error, connected);
  if (code === INVALID) return new CommandError(EXIT.usage, `the Temporal server at ${address} refused: ${reasonOf(error)}`, { cause: error });
  if (isUnanswered(error)) return new AdvisedError(EXIT.unreachable, { problem: `the Temporal server at ${address} stopped answering (${reasonOf(error)})`, todo: 'try again' }, { cause: error });
  return error;
}

/** What is no certificate, no key, or a key of another certificate: nobody was asked. */
function unusableKeys(cause: unknown): AdvisedError {
  return new AdvisedError(EXIT.usage, { problem: `the certificates or the key for the Temporal server cannot be used (${reasonOf(cause)})`, todo: 'they are PEM, and a key belongs to its certificate: correct --tls-cert-…, --tls-key-… and --tls-ca-…, or the profile' }, { cause });
}

function denied(cause: unknown, { address, namespace }: Pick<Connected, 'address' | 'namespace'>): AdvisedError {
  return new AdvisedError(EXIT.usage, { problem: `the Temporal server at ${address} refused access to namespace ${namespace} (${reasonOf(cause)})`, todo: 'use credentials that may: --api-key, TEMPORAL_API_KEY, or a profile with a key or certificates' }, { cause });
}

/** Whether an error says that nobody answered, rather than what the answer was. */
export function isUnanswered(error: unknown): boolean {
  return NO_ANSWER.has(codeOf(error) ?? 0);
}

/** Whether an error of a query or update says that no worker took it: it timed out, or nobody has asked its task queue for work lately. */
export function isNoWorker(error: unknown): boolean {
  return isUnanswered(error) || (codeOf(error) === FAILED_PRECONDITION && /no poller/i.test(reasonOf(error)));
}

function codeOf(error: unknown): number | undefined {
  const grpc = isGrpcServiceError(error) ? error : (error as { cause?: unknown } | null)?.cause;
  return isGrpcServiceError(grpc) ? grpc.code : undefined;
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
