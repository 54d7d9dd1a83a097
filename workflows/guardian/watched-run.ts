import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { Owner } from '../../contracts/ledger.ts';
import type { RunEnd } from '../../activities/kernel/kernel-activities.ts';
import { read, watch } from '../procedure/kernel-activities.ts';

/** The run that a guardian guards, as far as its end goes. */
export class WatchedRun {
  /** Undefined as long as it lives, for all that is known. */
  end: RunEnd | undefined;
  readonly #owner: Owner;
  readonly #scope = new CancellationScope();
  #watching: Promise<void> | undefined;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** Looks once. */
  async lives(): Promise<boolean> {
    const found = await read.findRunEnd({ owner: this.#owner });
    // Not before the answer is here: whoever watches may have learnt of the end while this was asked.
    this.end ??= found ?? undefined;
    return this.end === undefined;
  }

  /** Watches from now on; again changes nothing. */
  watch(): void {
    this.#watching ??= this.#scope.run(async () => {
      this.end = await watch.awaitRunEnd({ owner: this.#owner });
    }).catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
  }

  async stopWatching(): Promise<void> {
    this.#scope.cancel();
    await this.#watching;
  }
}
