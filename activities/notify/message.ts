import { decidingWords } from '../../contracts/deciding.ts';
import { quote } from '../../contracts/quote.ts';
import { runLink } from '../../contracts/run-link.ts';
import type { Notice } from '../../contracts/notification.ts';

/** What to type, each on one line, to copy. */
export interface Commands {
  /** Shows the run. */
  look: string;
  /** At a gate only. */
  approve?: string;
  reject?: string;
}

/** A notice with what people act on it with. */
export interface Message {
  notice: Notice;
  /** To the run in the web UI; null where the configuration names none. */
  link: string | null;
  commands: Commands;
}

/** The message to send; `webUi` and `namespace` are those of the worker's own server. */
export function messageOf(notice: Notice, { webUi, namespace }: { webUi: string | undefined; namespace: string }): Message {
  const { workflowId, runId, gate } = notice;
  const command = (...words: string[]) => ['runbook', ...words, ...(namespace === 'default' ? [] : ['--namespace', quote(namespace)])].join(' ');
  // The whole hash: whoever copies it decides on the plan that he was told of, or on nothing.
  const decide = (decision: 'approve' | 'reject', gateOf: NonNullable<Notice['gate']>) => command(...decidingWords(decision, workflowId, gateOf).map((word) => (/^--[a-z-]+$/.test(word) ? word : quote(word))));
  return {
    notice,
    link: webUi === undefined ? null : runLink(webUi, { namespace, workflowId, runId }),
    commands: { look: command('status', quote(workflowId)), ...(gate ? { approve: decide('approve', gate), reject: decide('reject', gate) } : {}) },
  };
}
