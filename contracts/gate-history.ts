const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What a policy says of how often people are told, and for how long. */
interface Telling { expiresAfter: number; extendUpTo?: number | undefined; remindEvery?: number | undefined; notify: readonly string[]; escalation: readonly { notify: readonly string[] }[] }

/**
 * Of the 51,200 events after which a server ends a run, and with it what an expired gate means. There may be a second gate in
 * the same run, and each message to a channel is some ten thousand of the 50 MB of a history, too.
 */
const MOST_EVENTS = 20_000;

/** Events of a history, at the most: a timer and the task that it begins, and for each channel the start of a workflow, that it is there, and its end, with a task for each of those two. */
const eventsOf = (channels: number): number => 5 + 9 * channels;

/** How long after its opening a gate can expire at the latest, whoever extends it. */
export function longestOpenMs({ extendUpTo, expiresAfter }: Pick<Telling, 'extendUpTo' | 'expiresAfter'>): number {
  return extendUpTo ?? Math.max(7 * DAY_MS, expiresAfter);
}

/** Why what a gate does by itself would fill the history of its run, and what to change; null where there is room for it. */
export function historyMistake(policy: Telling): { path: 'escalation' | 'remindEvery'; message: string } | null {
  const { escalation, notify, remindEvery } = policy;
  const left = MOST_EVENTS - escalation.reduce((sum, further) => sum + eventsOf(new Set([...notify, ...further.notify]).size), 0);
  const most = Math.floor(left / eventsOf(notify.length));
  if (most < 1) return { path: 'escalation', message: 'are more than the history of a run has room for; leave some out' };
  const openMs = longestOpenMs(policy);
  if (remindEvery === undefined || Math.floor(openMs / remindEvery) <= most) return null;
  const fewer = notify.length > 0 ? ', or tell fewer channels' : '';
  return { path: 'remindEvery', message: `fills the history of a run before the gate ends, which it may after ${whole(openMs)}; remind every ${Math.ceil(openMs / most / MINUTE_MS)}m or more seldom, let it end after ${whole(most * remindEvery)} at the latest (expiresAfter, extendUpTo)${fewer}` };
}

/** In the largest unit of which there is more than one, and no more than that. */
function whole(ms: number): string {
  const [unit, unitMs] = ms % DAY_MS === 0 ? ['d', DAY_MS] as const : ms >= 2 * HOUR_MS ? ['h', HOUR_MS] as const : ['m', MINUTE_MS] as const;
  return `${Math.floor(ms / unitMs)}${unit}`;
}
