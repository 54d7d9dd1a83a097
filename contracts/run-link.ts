/** A run, as the web UI addresses it. */
export interface RunAddress { namespace: string; workflowId: string; runId: string }

/** Link to a run in the web UI at `base`. Ids may hold anything: each is one part of the path. */
export function runLink(base: string, { namespace, workflowId, runId }: RunAddress): string {
  return `${base.replace(/\/+$/, '')}/${['namespaces', namespace, 'workflows', workflowId, runId, 'history'].map(encodeURIComponent).join('/')}`;
}
