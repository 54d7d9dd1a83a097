import type { RowName } from './limits.ts';
import type { RowOutcome } from './outcome.ts';

/** A bench that is ready to be measured. */
export interface OpenBench {
  /** What is measured, in one line over the table. */
  title: string;
  /** In the order in which they are measured. */
  groups: readonly { names: readonly RowName[]; measure: () => Promise<RowOutcome[]> }[];
  /** Ends everything and removes its files, also while something is measured. Can be called twice. */
  stop: () => Promise<void>;
}
