import type { DrTestArguments } from './arguments.ts';
import type { OpenBench } from './open-bench.ts';
import { ROW_GROUPS } from './rows/all.ts';
import { endBaselines } from './stage/run.ts';
import { openSite } from './stage/site.ts';

/** The table "Speed". */
export async function openDrTestBench(settings: DrTestArguments, log: (line: string) => void): Promise<OpenBench> {
  const site = await openSite({ bytes: settings.bytes, writeAfterSeconds: settings.windowSeconds, log });
  const wanted = new Set(settings.rows);
  return {
    title: `dr-test, database of ${Math.round(settings.bytes / 2 ** 20)} MiB, ${settings.repetitions} interleaved repetitions, medians [least to most]`,
    groups: ROW_GROUPS.map(({ names, measure }) => ({ names, measure: () => measure({ site, settings, wanted }) })),
    stop() {
      endBaselines();
      return site.stop();
    },
  };
}
