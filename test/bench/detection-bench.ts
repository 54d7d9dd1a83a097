import type { DetectionArguments } from './arguments.ts';
import { mulberry32 } from '../../scripts/demo/writers/pool.ts';
import { durationsFrom } from './detection/durations.ts';
import { detect, pollerLooks } from './detection/virtual-restore.ts';
import type { OpenBench } from './open-bench.ts';
import { meanOutcome, type RowOutcome } from './outcome.ts';
import { percentile } from './statistics.ts';

/** News of a service goes through a topic and a queue: so long on average, and no less than this, in milliseconds. */
const NEWS_MS = { least: 200, mean: 800 };
/** A service may tell that it has restored before it lets anybody in, by so much at most, and tells of something else on the way. */
const BEFORE_READY_MS = 20_000;
/** As many earlier runs as there may be. */
const MOST_EARLIER = 10;

/** How late a managed restore is found to be ready, and with how many looks, against somebody who looks every 30 s. In virtual time. */
export function openDetectionBench({ restores, seed }: DetectionArguments): OpenBench {
  return {
    title: `detection, ${restores} restores of 15 min on average with a coefficient of variation of 0.25, in virtual time, seed ${seed}`,
    groups: [{ names: ['lateWithHistory', 'lateWithout', 'lateWithEvents', 'callsVsPoller'], measure: () => measure(restores, seed) }],
    stop: () => Promise.resolve(),
  };
}

async function measure(restores: number, seed: number): Promise<RowOutcome[]> {
  const random = mulberry32(seed);
  const draw = durationsFrom(random);
  const late: Record<'withHistory' | 'without' | 'withEvents', number[]> = { withHistory: [], without: [], withEvents: [] };
  const looks: Record<keyof typeof late | 'poller', number> = { withHistory: 0, without: 0, withEvents: 0, poller: 0 };
  for (let count = 0; count < restores; count += 1) {
    const takesMs = draw();
    const earlierMs = Array.from({ length: 1 + Math.floor(random() * MOST_EARLIER) }, draw);
    const underWayMs = () => NEWS_MS.least - (NEWS_MS.mean - NEWS_MS.least) * Math.log(1 - random());
    const newsAtMs = [takesMs * random() + underWayMs(), takesMs - (count % 2) * BEFORE_READY_MS * random() + underWayMs()];
    for (const [name, restore] of [['withHistory', { earlierMs }], ['without', { earlierMs: [] }], ['withEvents', { earlierMs, newsAtMs }]] as const) {
      const detected = await detect({ takesMs, ...restore });
      late[name].push(detected.lateMs / 1_000);
      looks[name] += detected.looks;
    }
    looks.poller += pollerLooks(takesMs);
  }
  const row = (name: 'lateWithHistory' | 'lateWithout' | 'lateWithEvents', samples: readonly number[], calls: number) =>
    meanOutcome(name, samples, [`p95 ${percentile(samples, 0.95).toFixed(2)} s, ${(calls / restores).toFixed(2)} looks a restore; every 30 s: ${(looks.poller / restores).toFixed(2)}`]);
  const most = Math.max(looks.withHistory, looks.without, looks.withEvents);
  return [
    row('lateWithHistory', late.withHistory, looks.withHistory), row('lateWithout', late.without, looks.without), row('lateWithEvents', late.withEvents, looks.withEvents),
    { ...meanOutcome('callsVsPoller', [most / looks.poller]), notes: [`with earlier runs ${(looks.withHistory / looks.poller).toFixed(3)}, without ${(looks.without / looks.poller).toFixed(3)}, with events ${(looks.withEvents / looks.poller).toFixed(3)}`] },
  ];
}
