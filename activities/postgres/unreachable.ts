/** System errors that say that nobody answers, and not what an answer said. */
export const UNREACHABLE_CODES = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ECONNRESET']);

interface SystemError { code?: string; address?: string; hostname?: string; port?: number }

/** A database server that does not answer, in one sentence that says where it was looked for and what to look at. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
  readonly code: string;

  constructor(code: string, { host, port }: { host?: string | undefined; port?: number | undefined }, cause: unknown) {
    const isSocket = host?.startsWith('/') === true;
    const where = host === undefined ? 'the database server' : isSocket || port === undefined ? host : `${host}:${port}`;
    const advice = isSocket ? 'look at the log of that server' : 'start PostgreSQL there, or correct connection.host and connection.port of the database in the configuration';
    super(`${where} does not answer (${code}): ${advice}`, { cause });
    this.code = code;
  }
}

/** A connection that was there and broke off in the middle of its work. `what`: what was lost, and while what was done. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';

  constructor(what: string, cause: unknown) {
    super(`${what}; the log of that server says why`, { cause });
  }
}

/** The driver has no code for a connection that broke off, nor for what is asked of it afterwards. */
const BROKEN_OFF = /^(Connection terminated|Client has encountered a connection error|Client was closed)/;

/** Whether an error says that the connection broke off while it was used. */
export function hasBrokenOff(error: unknown): boolean {
  return error instanceof Error && (BROKEN_OFF.test(error.message) || ['ECONNRESET', 'EPIPE'].includes((error as SystemError).code ?? ''));
}

/** Wrong password or role, no such database, a right that is missing. */
const REFUSED_STATES = /^(28[0-9A-Z]{3}|3D000|42501)$/;

/** Whether a server answered and refused us: trying again cannot help. */
export function isRefused(error: unknown): boolean {
  const code: unknown = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && REFUSED_STATES.test(code);
}

/** The same error in words if it says that nobody answers, else undefined. `where` is what was asked for; the system does not always tell. */
export function unreachable(error: unknown, where: { host?: string | undefined; port?: number | undefined } = {}): Unreachable | undefined {
  if (error instanceof Unreachable) return error;
  // A name with several addresses fails once for each.
  const { code, address, hostname, port } = (error instanceof AggregateError ? error.errors[0] : error ?? {}) as SystemError;
  if (code === undefined || !UNREACHABLE_CODES.has(code)) return undefined;
  return new Unreachable(code, { host: where.host ?? hostname ?? address, port: where.port ?? port }, error);
}
