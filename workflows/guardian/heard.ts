import { patched } from '@temporalio/workflow';
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
  /** What was not answered yet, the oldest first. A run that was reset asks once more, and the first answer is not for it; nor is one to what somebody else has sent. */
  readonly #unanswered: { takes: Pick<Take, 'asking' | 'runId'>[]; finishes: Finish[] } = { takes: [], finishes: [] };
  readonly #finishes = new Map<string, Finish>();

  constructor() {
    onInternalSignal(INTERNAL.granted, grantedSchema, (grant) => void (this.fence ??= grant.fence));
    onInternalSignal(INTERNAL.take, takeSchema, (message) => {
      this.taken ??= message;
      this.asking = message.asking;
      if (isAnswered(message)) this.#unanswered.takes.push({ asking: message.asking, runId: message.runId });
    });
    onInternalSignal(INTERNAL.finish, finishSchema, (message) => {
      this.finished ??= message;
      if (message.runId !== undefined) this.#finishes.set(message.runId, message);
      if (isAnswered(message)) this.#unanswered.finishes.push(message);
    });
  }

  get hasUnansweredTake(): boolean {
    return this.#unanswered.takes.length > 0;
  }

  get hasUnansweredFinish(): boolean {
    return this.#unanswered.finishes.length > 0;
  }

  /** How many wait for an answer that is one for all of them. */
  get unansweredTakes(): number {
    return together(this.#unanswered.takes);
  }

  /** The oldest that waits for an answer. */
  firstTake(): Pick<Take, 'asking' | 'runId'> | undefined {
    return first(this.#unanswered.takes);
  }

  /** The same, for whoever answers it now: it waits no more. */
  nextTake(): Pick<Take, 'asking' | 'runId'> | undefined {
    first(this.#unanswered.takes);
    return this.#unanswered.takes.shift();
  }

  nextFinish(): Finish | undefined {
    first(this.#unanswered.finishes);
    return this.#unanswered.finishes.shift();
  }

  /** Those whose answer is one for all of them; empty where nobody waits. */
  nextFinishes(): Finish[] {
    first(this.#unanswered.finishes);
    return this.#unanswered.finishes.splice(0, together(this.#unanswered.finishes));
  }

  /** How this life of the run said, last, that its body had ended. */
  finishOf(runId: string): Finish | undefined {
    return this.#finishes.get(runId);
  }
}

/** No run of ours asks without `asking`, or would hear the answer: it would be one more event in its history, and nothing else. */
function isAnswered({ asking }: { asking?: string | undefined }): boolean {
  return asking !== undefined || !patched('answers only who can hear it');
}

/** The oldest of them; the newest for a guardian of older code, which knew no other. */
function first<Asked>(waiting: Asked[]): Asked | undefined {
  if (waiting.length > 1 && !patched('answers all who ask')) waiting.splice(0, waiting.length - 1);
  return waiting[0];
}

/** A guardian of older code answers one after the other. */
function together({ length }: readonly unknown[]): number {
  return length > 1 && !patched('one wait for all who ask') ? 1 : length;
}
