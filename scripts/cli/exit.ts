import { plain } from '../../contracts/plain.ts';

/** What the exit code of a command says. Scripts rely on it. */
export const EXIT = {
  done: 0,
  /** The run failed, or the check found something. */
  failed: 1,
  /** Wrong use or configuration. */
  usage: 2,
  /** Nothing answers. */
  unreachable: 3,
  /** `--command-timeout` has passed, by the convention of timeout(1). */
  timedOut: 124,
  /** Ctrl-C, by the convention of shells. */
  interrupted: 130,
  /** Whoever read the output has gone, by the convention of shells. */
  unread: 141,
} as const;
/** One of {@link EXIT}; commands return it and do not end the process, so that what they opened is closed. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with a sentence that says what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The same, with what is wrong and what to do about it each by itself, for who shows them apart. */
export class AdvisedError extends CommandError {
  readonly problem: string;
  readonly todo: string;
  constructor(exitCode: ExitCode, { problem, todo }: { problem: string; todo: string }, options?: ErrorOptions) {
    super(exitCode, `${problem}; ${todo}`, options);
    this.problem = problem;
    this.todo = todo;
  }
}

/** The exit code of whatever a command threw: what is not ours is a mistake of ours, and gets 1 with its stack. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  return (error as { name?: unknown } | null)?.name === 'ConfigurationError' ? EXIT.usage : EXIT.failed;
}

/** Prints an error for people, or as JSON, on standard error. A configuration has several errors, each with a line of its own. */
export function reportError(error: unknown, asJson: boolean): void {
  const isConfiguration = (error as { name?: unknown } | null)?.name === 'ConfigurationError';
  const message = error instanceof CommandError ? plain(error.message)
    : isConfiguration ? (error as Error).message.split('\n').map(plain).join('\n')
      : error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(asJson ? `${JSON.stringify({ error: message, exitCode: exitCodeOf(error) })}\n` : `runbook: ${message}\n`);
}

/** Ends the process with a sentence, and without a stack, when its output cannot be written: nobody reads it any more, or a disk is full. */
export function guardOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.unread);
    process.stderr.write(`runbook: the output cannot be written (${error.code ?? error.message})\n`);
    process.exit(EXIT.failed);
  });
  // There is nowhere left to say it.
  process.stderr.on('error', () => process.exit(EXIT.unread));
}
