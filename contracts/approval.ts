import { canonicalJson } from './canonical.ts';
import type { Owner } from './ledger.ts';

/** The namespace of `ssh-keygen -Y sign -n`: a signature made for anything else is worth nothing here, nor ours elsewhere. */
export const APPROVAL_NAMESPACE = 'approval@durable-runbooks';

/** What somebody decides on, so exactly that a signature over it is good for nothing else. */
export interface ApprovalStatement {
  runbook: string;
  target: string | null;
  /** The run: a workflow id can be used again, and its first run id cannot. */
  owner: Owner;
  /** The present life of that run: a reset makes another, which repeats the messages of the former. */
  runId: string;
  gate: string;
  /** Since when the gate shows this plan: it can open twice in a run, and come back to a plan on which decisions are void since. */
  planShownAt: string;
  planHash: string;
  decision: 'approve' | 'reject';
  comment: string | null;
}

/** The bytes that are signed: canonical JSON (RFC 8785) in UTF-8, and a line feed, as a file has. */
export function approvalStatement({ runbook, target, owner, runId, gate, planShownAt, planHash, decision, comment }: ApprovalStatement): string {
  return `${canonicalJson({ runbook, target, owner: { workflowId: owner.workflowId, firstExecutionRunId: owner.firstExecutionRunId }, runId, gate, planShownAt, planHash, decision, comment })}\n`;
}
