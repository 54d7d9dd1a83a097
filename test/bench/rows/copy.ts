import { chmod, mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { copyVerified } from '../../../activities/archive/verified-copy.ts';
import { interleave, type Contender } from '../interleave.ts';
import { ratioOutcome } from '../outcome.ts';
import { flush, runBaseline } from '../stage/run.ts';
import { BENCH_VARIABLE } from '../stage/site.ts';
import { writeSums } from '../stage/script-drill.ts';
import type { RowGroup } from './row.ts';

/** The verified copy of a base backup against the script's; both end when every byte is on the disk. */
export const copy: RowGroup = {
  names: ['copyVsVerifiedCp'],
  async measure({ site, settings }) {
    const { backup, files } = await site.recoveryPoint('shop');
    const target = join(site.root, 'copied');
    const sums = join(site.root, 'sums');
    await writeSums(sums, files);
    const contender = (name: string, run: () => Promise<unknown>): Contender => ({
      name,
      before: async () => {
        await mkdir(target, { mode: 0o700 });
        await chmod(target, 0o700);
        await flush(site.root);
      },
      run: async () => void (await run()),
      after: () => rm(target, { recursive: true, force: true }),
    });
    const samples = await interleave([
      contender('ours', async () => {
        await copyVerified({ source: backup, target, files, reserveBytes: 0, marker: { name: BENCH_VARIABLE, value: site.root } });
        await flush(target);
      }),
      contender('script', () => runBaseline('verified-cp.sh', { BACKUP: backup, TARGET: target, SUMS: sums, JOBS: String(availableParallelism()) })),
    ], { repetitions: settings.repetitions, onSample: (name, repetition, value) => site.log(`  ${name} ${repetition}: ${value.toFixed(2)} s`) });
    return [ratioOutcome('copyVsVerifiedCp', { name: 'ours', samples: samples.get('ours') ?? [] }, { name: 'script', samples: samples.get('script') ?? [] })];
  },
};
