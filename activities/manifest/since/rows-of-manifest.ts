import type { Tuple } from '../read-bucket.ts';
import type { SharedPast } from './shared-past.ts';

/**
 * Versions of rows in one range of pages of a copy that were made by the manifest. None ever moves within a file, and one that the copy shows had
 * been deleted neither by its instant nor by the manifest: so the manifest has each, and there can be no more than it has in that range.
 * Beyond that they came back: a page as it was before, or a deletion that was lost.
 */
export class RowsOfManifest {
  readonly #past: Pick<SharedPast, 'isOfManifest'> | undefined;
  #all = 0;
  #own = 0;

  /** @param past undefined where the file may be another one than that of the manifest, so that nothing is known */
  constructor(past: Pick<SharedPast, 'isOfManifest'> | undefined) {
    this.#past = past;
  }

  /** Takes what the copy has in a part of the range, and what of that the source does not have. */
  add(ours: readonly Tuple[], own: readonly Tuple[]): void {
    this.#all += this.#count(ours);
    this.#own += this.#count(own);
  }

  /** How many have come back. What the source has just so did not. */
  beyond(expected: number): number {
    return Math.min(this.#own, Math.max(0, this.#all - expected));
  }

  #count(tuples: readonly Tuple[]): number {
    return tuples.filter(({ xmin }) => this.#past?.isOfManifest(xmin)).length;
  }
}
