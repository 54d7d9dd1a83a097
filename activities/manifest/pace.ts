/** How much of production's time reading may take, over `connections` that all read at once. */
export interface PaceOptions {
  /** Part of the time in which a connection reads, above 0 and at most 1. */
  dutyCycle: number;
  connections: number;
  /** Reading all should not take longer: it rests less rather than pass this. */
  finishWithinMs: number;
  /** Milliseconds since any fixed instant. */
  now?: () => number;
}

/**
 * How long a connection rests between two readings. Resting spares those who use the database meanwhile; but it also keeps
 * the snapshot open, which holds back vacuum, so a large database is read with as little rest as the time allows.
 */
export class Pace {
  readonly #options: PaceOptions;
  readonly #now: () => number;
  readonly #startedAt: number;
  #busyMs = 0;
  #leavesRest = true;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#startedAt = this.#now();
  }

  /** False once there was no time left to rest. */
  get leavesRest(): boolean { return this.#leavesRest; }

  /** After a range that took `busyMs`, and that `bytesDone` counts already. */
  restMs({ busyMs, bytesDone, bytesTotal }: { busyMs: number; bytesDone: number; bytesTotal: number }): number {
    const { dutyCycle, connections, finishWithinMs } = this.#options;
    this.#busyMs += busyMs;
    const bytesLeft = bytesTotal - bytesDone;
    // After the last range nobody is spared any more; before the first byte nothing can be foreseen.
    if (bytesLeft <= 0 || bytesDone <= 0) return 0;
    const busyLeftMs = (this.#busyMs / bytesDone) * bytesLeft / connections;
    const slackMs = finishWithinMs - (this.#now() - this.#startedAt) - busyLeftMs;
    const restMs = busyMs * Math.max(0, Math.min(1 / dutyCycle - 1, slackMs / busyLeftMs));
    this.#leavesRest = restMs > 0;
    return restMs;
  }
}

const REST_PER_LOOK = 20;

/** How long to rest after a look at production that is repeated while something is waited for: it costs 5 % of the time at most, unless that would be too rare. */
export function restAfterLook(busyMs: number, leastMs: number, mostMs = Infinity): number {
  return Math.min(mostMs, Math.max(leastMs, busyMs * REST_PER_LOOK));
}
