import { progressWords, type UnderWay } from '../../contracts/under-way.ts';
import { inline } from './markdown.ts';

/** So many activities of a step are shown with how far they are: a run has as many at once as it has databases, at the most. */
const MOST_SHOWN = 10;

/** What an activity told, and when its run took it: its host's clock may be wrong. */
type Told = Pick<UnderWay, 'phase' | 'bytesDone' | 'bytesTotal' | 'unit' | 'rate'> & { at: string };

/** The activities of a step that are under way, and what they told of how far they are. */
export class ActivitiesUnderWay {
  /** By their ids, who told last comes last; undefined of one that has told nothing. */
  readonly #told = new Map<string, Told | undefined>();
  readonly #onChange: () => void;

  /** @param onChange called when one that is shown has come to its end */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** From here on until it `ended`, an activity can tell how far it is. */
  follow(id: string, ended: Promise<unknown>): void {
    this.#told.set(id, undefined);
    const end = () => {
      const isShown = this.#told.get(id) !== undefined;
      this.#told.delete(id);
      if (isShown) this.#onChange();
    };
    // Beside whoever awaits it, who goes on as if nobody else did: what a replay does comes in the same order.
    void ended.then(end, end);
  }

  /** Takes what was told, where an activity of this step is meant. */
  take({ activity, phase, bytesDone, bytesTotal, unit, rate }: UnderWay, at: string): boolean {
    if (!this.#told.delete(activity)) return false;
    this.#told.set(activity, { phase, bytesDone, bytesTotal, unit, rate, at });
    return true;
  }

  /** A line of Markdown for each that told something, of so many as told last. */
  lines(): string[] {
    const told = [...this.#told.values()].filter((one) => one !== undefined).slice(-MOST_SHOWN);
    return told.map(({ at, ...one }) => `- … ${inline([one.phase, ...progressWords(one, one.rate)].join(', '))}, at ${at}`);
  }
}
