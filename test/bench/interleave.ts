/** One of those that are measured against each other. */
export interface Contender {
  name: string;
  /** Not timed: brings the machine into the same state for everyone. */
  before?: () => Promise<void>;
  /** Timed; resolves with the value when that is not its own duration in seconds. */
  run: () => Promise<number | void>;
  /** Not timed; runs also after a failure. */
  after?: () => Promise<void>;
}

/** How often each is measured; `onSample` is told of rounds that count only. */
export interface InterleaveOptions {
  repetitions: number;
  /** Rounds that do not count: caches are warm afterwards. */
  warmUps?: number;
  onSample?: (name: string, repetition: number, value: number) => void;
}

/**
 * Measures the contenders in turn (A B, B A, A B, …), so that a drift of the machine touches all of them alike and none
 * always profits from its predecessor.
 * @returns the samples by name, in order of repetition
 */
export async function interleave(contenders: readonly Contender[], { repetitions, warmUps = 0, onSample }: InterleaveOptions): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = -warmUps; round < repetitions; round += 1) {
    const inOrder = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const contender of inOrder) {
      await contender.before?.();
      try {
        const started = performance.now();
        const value = (await contender.run()) ?? (performance.now() - started) / 1000;
        if (round < 0) continue;
        samples.get(contender.name)?.push(value);
        onSample?.(contender.name, round + 1, value);
      } finally {
        await contender.after?.();
      }
    }
  }
  return samples;
}
