import { hostname, userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Evidence } from '../../contracts/evidence.ts';
import { historyToJson, type History } from './history-json.ts';

/** What must not be in the repository: names of this machine and its user, and paths outside the neutral directory. */
const MACHINE = [hostname(), /(^|[^A-Za-z0-9._-])\/(home|root|Users|tmp|work|workspace)\//];

/** Where this package lies, which also holds PostgreSQL's programs; people know it by another path. */
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url)).replace(/(\/dist)?\/$/, '');
const installed = (text: string): string => text.replaceAll(PACKAGE, '/opt/durable-runbooks');

/**
 * A history as text that may be committed. Who sent what is kept as `worker@demo`, stack traces are dropped (replay reads
 * neither), and the workflow id is put beside the events, since events do not hold it.
 *
 * @throws Error when a name or path of this machine is left
 */
export function neutralHistory(history: History, workflowId: string): string {
  const { events } = JSON.parse(JSON.stringify(historyToJson(history)), neutral) as { events: unknown[] };
  const text = `{"workflowId":${JSON.stringify(workflowId)},"events":[\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]}\n`;
  refuseMachine(text, workflowId);
  return text;
}

/** Evidence as text that may be committed. What is made neutral is no longer what its chain was made of. */
export function neutralEvidence(sealed: Evidence): string {
  const evidence: Evidence = { ...sealed, chain: { ...sealed.chain, seal: null } };
  const text = `${installed(JSON.stringify(evidence, null, 2))}\n`;
  refuseMachine(text, evidence.workflowId);
  return text;
}

/** Reviver of JSON. */
function neutral(key: string, value: unknown): unknown {
  if (key === 'stackTrace') return '';
  if (typeof value !== 'string') return value;
  if (key === 'data') return Buffer.from(installed(Buffer.from(value, 'base64').toString('utf8'))).toString('base64');
  // A worker's identity, and the sticky task queue that is named after it.
  return installed(value).replace(/^\d+@[A-Za-z0-9._-]+/, 'worker@demo');
}

/** Looks at the text and into every payload. */
function refuseMachine(text: string, what: string): void {
  const payloads = [...text.matchAll(/"data":"([A-Za-z0-9+/=]+)"/g)].map((match) => Buffer.from(match[1] ?? '', 'base64').toString('utf8'));
  const { username } = userInfo();
  for (const candidate of [text, ...payloads]) {
    for (const forbidden of [...MACHINE, ...(username === 'root' ? [] : [username])]) {
      const at = typeof forbidden === 'string' ? candidate.indexOf(forbidden) : candidate.search(forbidden);
      if (at >= 0) throw new Error(`${what} holds ${String(forbidden)}: …${candidate.slice(Math.max(0, at - 80), at + 80)}…`);
    }
  }
}
