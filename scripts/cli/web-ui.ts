/** The dev server's web UI listens here. */
const LOCAL_WEB_UI = 'http://localhost:8233';

/** Link to a run in the web UI; undefined when nobody told us where the web UI of that server is. */
export function webUiLink(run: { webUi: string | undefined; address: string; namespace: string; workflowId: string; runId?: string }): string | undefined {
  const base = run.webUi ?? (isLocal(run.address) ? LOCAL_WEB_UI : undefined);
  if (base === undefined) return undefined;
  const path = ['namespaces', run.namespace, 'workflows', run.workflowId, ...(run.runId === undefined ? [] : [run.runId, 'history'])];
  return `${base.replace(/\/+$/, '')}/${path.map(encodeURIComponent).join('/')}`;
}

function isLocal(address: string): boolean {
  return /^(https?:\/\/)?(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(address);
}
