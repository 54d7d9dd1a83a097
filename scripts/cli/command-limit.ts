import { CommandError, EXIT, reportError } from './exit.ts';

/** The longest that a timer of Node takes. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Ends the process when its command has taken this long, as `--command-timeout` asks for: by the signal that ends it
 * otherwise, where there is something to be stopped.
 */
export function limitCommand(ms: number | undefined, { asJson }: { asJson: boolean }): void {
  if (ms === undefined) return;
  const arm = (leftMs: number): void => {
    setTimeout(() => (leftMs > LONGEST_MS ? arm(leftMs - LONGEST_MS) : end()), Math.min(leftMs, LONGEST_MS)).unref();
  };
  const end = (): void => {
    reportError(new CommandError(EXIT.timedOut, '--command-timeout has passed; what was sent to the server stays, and runs go on'), asJson);
    if (process.listenerCount('SIGTERM') === 0) process.exit(EXIT.timedOut);
    process.once('exit', () => { process.exitCode = EXIT.timedOut; });
    process.kill(process.pid, 'SIGTERM');
  };
  arm(ms);
}
