import { formatSeconds } from './quantities.ts';

const RTA_WORDS: Readonly<Record<string, string>> = { withoutWait: 'without waiting for people', withoutComparison: 'without waiting or comparison' };

/** What `objectives.rtaIs` leaves out of a recovery time, in words; null where it is all of it, or not known. */
export function rtaWords(rtaIs: unknown): string | null {
  return typeof rtaIs === 'string' && Object.hasOwn(RTA_WORDS, rtaIs) ? RTA_WORDS[rtaIs] ?? null : null;
}

/** What a run is held against, in words; null where it is against nothing. `rto` and `rpo`: in milliseconds. */
export function objectivesInWords({ rto, rpo, rtaIs, failWhenMissed }: { rto?: number | undefined; rpo?: number | undefined; rtaIs?: string | undefined; failWhenMissed?: boolean | undefined }): string | null {
  const leavesOut = rtaWords(rtaIs);
  const named = [
    ...(rto === undefined ? [] : [`RTO ${formatSeconds(rto / 1_000)}${leavesOut === null ? '' : ` (${leavesOut})`}`]),
    ...(rpo === undefined ? [] : [`RPO ${formatSeconds(rpo / 1_000)}`]),
  ];
  return named.length === 0 ? null : `${named.join(', ')}${failWhenMissed === true ? '; a run that misses one fails' : ''}`;
}
