import { compare } from './compare.ts';
import { copy } from './copy.ts';
import { drill } from './drill.ts';
import { manifestImpact } from './manifest-impact.ts';
import { orchestration } from './orchestration.ts';
import type { RowGroup } from './row.ts';
import { cliHelp, workerStart } from './starts.ts';

/**
 * In the order in which they are measured: short ones first, so that a mistake shows early; last the one that changes the
 * source.
 */
export const ROW_GROUPS: readonly RowGroup[] = [cliHelp, workerStart, orchestration, compare, copy, drill, manifestImpact];
