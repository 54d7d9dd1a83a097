import type { DrTestArguments } from '../arguments.ts';
import type { RowName } from '../limits.ts';
import type { RowOutcome } from '../outcome.ts';
import type { Site } from '../stage/site.ts';

/** What a row works with. */
export interface RowInput {
  site: Site;
  settings: DrTestArguments;
  /** Rows that were asked for: some are measured together. */
  wanted: ReadonlySet<RowName<'dr-test'>>;
}

/** Measures one row, or several that share what they are measured against. */
export interface RowGroup {
  names: readonly RowName<'dr-test'>[];
  measure: (input: RowInput) => Promise<RowOutcome[]>;
}
