import { createHash } from 'node:crypto';
import type { Owner } from '../../contracts/ledger.ts';

/** Draws a number from 0 up to, but without, `count`; `turn` tells several draws of one run apart: 0, 1, … up to 7. */
export type Draw = (count: number, turn?: number) => number;

/** Draws from the run, so that a call that is made again draws the same of the same. */
export function drawOf({ workflowId, firstExecutionRunId }: Owner): Draw {
  const digest = createHash('sha256').update(`${workflowId}\n${firstExecutionRunId}`).digest();
  return (count, turn = 0) => digest.readUInt32BE(turn * 4) % count;
}
