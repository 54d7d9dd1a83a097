import type { KernelArguments } from '../arguments.ts';
import type { RowName } from '../limits.ts';
import type { RowOutcome } from '../outcome.ts';
import type { Stage } from './stage.ts';

/** Measures rows of the kernel's bench that share what they are measured on. */
export interface KernelRowGroup {
  names: readonly RowName<'kernel'>[];
  measure: (input: { stage: Stage; settings: KernelArguments }) => Promise<RowOutcome[]>;
}
