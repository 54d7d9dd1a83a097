import type { Finish, Take } from '../../contracts/guardian.ts';
import { finishSchema, grantedSchema, takeSchema } from '../../contracts/internal-messages.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { onInternalSignal } from '../procedure/internal-signal.ts';

/** What a guardian has heard of its run, in any of its lives, and of the lock, from when this is made. */
export class Heard {
  /** Under which the target was granted. */
  fence: number | undefined;
  /** What was asked for first: that is what the guardian takes, and settles. */
  taken: Take | undefined;
  finished: Finish | undefined;
  /** Of the run as it is now, after a reset too. */
  asking: string | undefined;
  /** What was not answered yet. A run that was reset asks once more, and the first answer is not for it. */
  readonly #unanswered: { take?: Take; finish?: Finish } = {};
  readonly #finishes = new Map<string, Finish>();

  constructor() {
    onInternalSignal(INTERNAL.granted, grantedSchema, (grant) => void (this.fence ??= grant.fence));
    onInternalSignal(INTERNAL.take, takeSchema, (message) => {
      this.taken ??= message;
      this.asking = message.asking;
      this.#unanswered.take = message;
    });
    onInternalSignal(INTERNAL.finish, finishSchema, (message) => {
      this.finished ??= message;
      if (message.runId !== undefined) this.#finishes.set(message.runId, message);
      this.#unanswered.finish = message;
    });
  }

  /** The newest that waits for an answer. */
  get unansweredTake(): Take | undefined {
    return this.#unanswered.take;
  }

  get unansweredFinish(): Finish | undefined {
    return this.#unanswered.finish;
  }

  /** The same, for whoever answers it now: it waits no more. */
  nextTake(): Take | undefined {
    const { take } = this.#unanswered;
    delete this.#unanswered.take;
    return take;
  }

  nextFinish(): Finish | undefined {
    const { finish } = this.#unanswered;
    delete this.#unanswered.finish;
    return finish;
  }

  /** How this life of the run said, last, that its body had ended. */
  finishOf(runId: string): Finish | undefined {
    return this.#finishes.get(runId);
  }
}
