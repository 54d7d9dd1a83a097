import { drillClientConfig } from '../../../activities/drill/client.ts';
import { DRILL_PORT, drillPaths } from '../../../activities/drill/drill.ts';
import { compareWithManifest } from '../../../activities/manifest/compare-manifest.ts';
import type { RowName } from '../limits.ts';
import { interleave, type Contender } from '../interleave.ts';
import { ratioOutcome } from '../outcome.ts';
import { startPausedDrill } from '../stage/paused-drill.ts';
import { runBaseline } from '../stage/run.ts';
import { DRILL_CONNECTIONS } from '../stage/script-drill.ts';
import type { RowGroup } from './row.ts';

const DATABASE = 'shop';

/**
 * The whole comparison of a database (rows by buckets, catalog, sequences) against scripts that read the same rows of
 * the same paused copy over as many connections, and compare nothing.
 */
export const compare: RowGroup = {
  names: ['compareVsTextSql', 'compareVsCopyMd5'],
  async measure({ site, settings, wanted }) {
    const { manifest } = await site.recoveryPoint('shop');
    const { drill, stop } = await startPausedDrill(site);
    try {
      const tables = manifest.databases.find(({ database }) => database === DATABASE)?.tables ?? [];
      const script = (name: string, file: string): Contender => ({ name, run: async () => {
        const lines = (await runBaseline(file, {
          HOME: site.root, PGHOST: drillPaths(drill.directory).socket, PGPORT: String(DRILL_PORT), PGUSER: drill.superuser, PGDATABASE: DATABASE, CONNECTIONS: String(DRILL_CONNECTIONS),
        })).trim().split('\n');
        // A script that skips a table would be fast, and no baseline.
        if (lines.length !== tables.length) throw new Error(`${file} read ${lines.length} tables, the manifest has ${tables.length}`);
      } });
      const ours: Contender = { name: 'ours', run: async () => {
        const result = await compareWithManifest({
          connect: (database) => drillClientConfig(drill, { database }), manifest, database: DATABASE, connections: DRILL_CONNECTIONS, depth: 'standard', signal: new AbortController().signal,
        });
        if (!result.equal || result.compared.tables !== tables.length) throw new Error(`the comparison of a sound copy found ${JSON.stringify(result.differences).slice(0, 500)}`);
      } };
      const baselines: [RowName<'dr-test'>, Contender][] = [['compareVsTextSql', script('text', 'compare-text-sql.sh')], ['compareVsCopyMd5', script('copy', 'copy-md5.sh')]];
      const asked = baselines.filter(([name]) => wanted.has(name));
      const samples = await interleave([ours, ...asked.map(([, contender]) => contender)], { repetitions: settings.repetitions, warmUps: settings.repetitions > 1 ? 1 : 0, onSample: (name, repetition, value) => site.log(`  ${name} ${repetition}: ${value.toFixed(2)} s`) });
      return asked.map(([row, { name }]) => ratioOutcome(row, { name: 'ours', samples: samples.get('ours') ?? [] }, { name, samples: samples.get(name) ?? [] }));
    } finally {
      await stop();
    }
  },
};
