import { userInfo } from 'node:os';
import { RecoveryFailure } from './recovery-failure.ts';
import { type ClosedDirectory, inWords } from './try-writing.ts';

/** Whoever asks may not. */
const DENIED = new Set(['EACCES', 'EPERM']);
/** Something else lies there: as where a file system is not mounted, or a setting names another place. */
const ELSE_THERE = new Set(['ENOTDIR', 'EISDIR', 'ELOOP', 'ENAMETOOLONG']);
/** Nothing more is to be had at once on this host, which says nothing of the archive. */
const RUN_OUT = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);
/** The server of a file system does not answer as it should, which concerns all that lies on it. */
const AWAY = new Set(['ESTALE', 'ENOTCONN', 'ETIMEDOUT', 'EHOSTDOWN']);

/** That something of the archive cannot be read: what and why, and what to do about it, each by itself too, for who shows them apart. */
export class Unreadable extends RecoveryFailure implements ClosedDirectory {
  readonly problem: string;
  readonly remedy: string;
  /** That it concerns whatever this host reads at present, and not only what was read. */
  readonly isOfHost: boolean;

  constructor(advised: ClosedDirectory, { files, cause }: { files: readonly string[]; cause: NodeJS.ErrnoException }) {
    const isOfHost = RUN_OUT.has(cause.code ?? '') || AWAY.has(cause.code ?? '');
    super('UNREADABLE', `${inWords(advised)}.`, { files, cause, mayPass: isOfHost || cause.code === 'EIO' });
    this.isOfHost = isOfHost;
    this.problem = advised.problem;
    this.remedy = advised.remedy;
  }
}

/** What of the archive cannot be read, by what the system said: `what` begins the sentence; `files` as those of {@link RecoveryFailure}. */
export function unreadable(what: string, cause: NodeJS.ErrnoException, files: readonly string[] = []): Unreadable {
  return new Unreadable({ problem: `${what} cannot be read: ${cause.message}`, remedy: remedyOf(cause.code) }, { files, cause });
}

/** Whether what could not be read may be as it should: to pass over what can be read in a moment would choose an older one. */
export function isHostUnableToRead(failure: unknown): boolean {
  return failure instanceof Unreadable && failure.isOfHost;
}

function remedyOf(code = ''): string {
  if (DENIED.has(code)) return `let the user that the worker runs as (here: ${thisUser()}) read it, and enter every directory above it`;
  if (ELSE_THERE.has(code)) return 'look what lies there, whether its file system is mounted, and whether the directories of this database in the configuration (provider.repository, provider.walDirectory) are the right ones';
  if (RUN_OUT.has(code)) return 'look what else on this host takes memory or open files, or allow the worker more of them (ulimit -n)';
  return "look at the file system that it lies on: whether it is mounted, and what this host's log says of its disk or its server";
}

/** Not everybody has a name: containers run as numbers that no file of users knows. */
function thisUser(): string {
  const uid = `uid ${process.geteuid?.() ?? 'unknown'}`;
  try {
    return `${userInfo().username}, ${uid}`;
  } catch {
    return uid;
  }
}
