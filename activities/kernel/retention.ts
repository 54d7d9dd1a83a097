import type { Client } from '@temporalio/client';
import { grpcCodeOf } from './grpc-code.ts';

/**
 * How far before its time is over one who looks back stops. A server forgets a workflow half an hour later or earlier than
 * that, and what saw to a run closes after it and is mostly forgotten after it: so it is never the run alone that is known.
 * Clocks may differ, too.
 */
const MARGIN_MS = 4 * 3_600_000;

/** Where nobody says how long a server keeps what has ended: it is a day at the soonest, unless its operators asked for less. */
const UNTOLD_MS = 24 * 3_600_000;

/** gRPC PERMISSION_DENIED, UNAUTHENTICATED, UNIMPLEMENTED: asking again gives no other answer. */
const NOT_TOLD: ReadonlySet<unknown> = new Set([7, 16, 12]);

/** How long the server keeps a workflow after its end; null where it does not say, or not to whoever asks. Throws where it does not answer. */
export async function retentionMs(client: Client, namespace: string): Promise<number | null> {
  const described = await client.workflowService.describeNamespace({ namespace }).catch((error: unknown) => {
    if (!NOT_TOLD.has(grpcCodeOf(error))) throw error;
    return undefined;
  });
  const ms = Number(described?.config?.workflowExecutionRetentionTtl?.seconds ?? 0) * 1_000;
  return ms > 0 ? ms : null;
}

/** How long ago a run may have ended for the server to know still, surely, whether somebody has seen to it. `retention`: of {@link retentionMs}. */
export function lookBackMs(retention: number | null): number {
  const kept = retention ?? UNTOLD_MS;
  return kept - Math.min(MARGIN_MS, kept / 2);
}
