import { readable } from '../../activities/evidence/report-format.ts';
import { rtaWords } from '../../contracts/objectives.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import type { TeardownResult } from '../../contracts/record.ts';
import { coloured, plain } from './output.ts';

/** How a run ended, as `watch` and `start --wait` tell it. */
export interface RunEnding {
  workflowId: string;
  runId: string;
  type: string;
  /** As the Temporal server names it. */
  status: string;
  failure: { type: string; message: string } | null;
  /** What the run returned; of a failed run, what it attached to its failure. */
  result: Record<string, unknown> | null;
}

/** The end of a run for people: outcome, why, verdict, times, where the evidence is. */
export function outcomeLines({ status, failure, result }: RunEnding): string[] {
  const lines = [coloured(status.toLowerCase().replaceAll('_', ' '), status === 'COMPLETED' ? 'ok' : 'bad')];
  const left = (result?.['teardown'] as Partial<TeardownResult> | undefined)?.left;
  if (failure && (failure.type !== 'TEARDOWN_FAILED' || typeof left !== 'string')) lines.push(`${plain(failure.type)}: ${plain(failure.message)}`);
  // A copy of production that may still be there must not be overlooked, whatever else was found out.
  if (typeof left === 'string') lines.push(`${coloured('TEARDOWN FAILED', 'bad')}: ${plain(left)}`);
  const verdict = result?.['verdict'];
  if (typeof verdict === 'object' && verdict !== null) {
    const words = Object.entries(verdict).filter(([, word]) => typeof word === 'string').map(([name, word]) => `${name === 'restore' ? name : name.toUpperCase()} ${readable(String(word))}`);
    if (words.length > 0) lines.push(`verdict   ${words.join(', ')}`);
  }
  // The one that the verdict is about, by its name.
  const rta = result?.['judgedRtaSeconds'] ?? result?.['rtaSeconds'];
  const words = rtaWords(result?.['rtaIs']);
  if (typeof rta === 'number') lines.push(`RTA       ${formatSeconds(rta)}${words === null ? '' : ` ${words}`}`);
  const rpa = result?.['rpaSeconds'];
  if (typeof rpa === 'number') lines.push(`RPA       ${formatSeconds(rpa)}`);
  for (const name of ['evidence', 'report'] as const) {
    const path = result?.[name];
    if (typeof path === 'string') lines.push(`${name.padEnd(9)} ${plain(path)}`);
  }
  return lines;
}
