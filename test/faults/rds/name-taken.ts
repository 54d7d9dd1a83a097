import { lockId } from '../../../contracts/guardian.ts';
import { drillName } from '../../../activities/rds-provider/drill-names.ts';
import type { Fault, Struck, Target } from '../fault.ts';
import { readAccount } from './account.ts';
import type { RdsScene } from './rds-scene.ts';
import { plantGroup, plantInstance, removeGroup, removeInstance } from './strangers.ts';

/** What somebody else may have made under the very name that a drill is about to use. */
interface Taken { what: 'RDS instance' | 'parameter group'; plant: typeof plantInstance; remove: typeof removeInstance }

const nameTaken = ({ what, plant, remove }: Taken): Fault<RdsScene> => ({
  name: `a stranger's ${what} has the drill's name`, expected: 'fenced', retried: false,
  strikes: ({ where, step }) => where === 'before' && step === 'pre-flight',
  async strike({ environment, run }: Target<RdsScene>): Promise<Struck> {
    const { rds: { rds, lab }, planted, client } = environment;
    const { nextFence } = await client.workflow.getHandle(lockId('shop')).query<{ nextFence: number }>('holders').catch(() => ({ nextFence: 1 }));
    const name = drillName({ owner: run.owner, fence: nextFence });
    const names = [`${what} ${name}`, ...(what === 'RDS instance' ? [`server of ${name}`] : [])];
    for (const one of names) planted.add(one);
    await plant(rds, name);
    const theirs = async () => JSON.stringify(Object.entries(await readAccount(rds, lab.control)).filter(([one]) => names.includes(one)));
    const before = await theirs();
    return {
      atMs: Date.now(), isCertain: true, proof: `${name} is somebody else's`,
      async relieve() {
        const after = await theirs();
        await remove(rds, name);
        return after === before ? [] : [`the stranger's ${what} ${name} was changed: ${before} became ${after}`];
      },
    };
  },
});

/** One for each kind of thing that a drill names; whatever becomes of the run, the stranger's must be as it was. */
export const NAME_TAKEN: readonly Fault<RdsScene>[] = [
  { what: 'RDS instance', plant: plantInstance, remove: removeInstance } as const, { what: 'parameter group', plant: plantGroup, remove: removeGroup } as const,
].map(nameTaken);
