import { runLink, type RunAddress } from '../../contracts/run-link.ts';

/** A server that is there answers at once, on this host. */
const PROBE_MS = 1_000;

/** A run, and where to look for the web UI that shows it. */
export interface LinkedRun extends RunAddress { webUi: string | undefined; address: string }

/**
 * Link to a run in the web UI: the one that the configuration names, else that of a development server on this host if
 * it shows this very run. Undefined when there is none: another server's web UI would say that there is no such run.
 */
export async function webUiLink(run: LinkedRun): Promise<string | undefined> {
  if (run.webUi !== undefined) return runLink(run.webUi, run);
  for (const base of usualPlaces(run.address)) if (await shows(base, run)) return runLink(base, run);
  return undefined;
}

/** Where development servers have their web UI: a thousand above their own port. */
export function usualPlaces(address: string): string[] {
  const [, host, port = '7233'] = /^(?:https?:\/\/)?(localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::(\d+))?$/.exec(address) ?? [];
  return host === undefined || Number(port) > 64_535 ? [] : [`http://${host}:${Number(port) + 1_000}`];
}

/** Whether what listens there is the web UI of the server that has this run. */
async function shows(base: string, { namespace, workflowId, runId }: LinkedRun): Promise<boolean> {
  try {
    const answer = await fetch(`${base}/api/v1/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}?execution.runId=${runId}`, { signal: AbortSignal.timeout(PROBE_MS) });
    return answer.ok && (await answer.text()).includes(runId);
  } catch {
    return false;
  }
}
