import { startEnvironment, type Environment } from './environment.ts';
import { FAULTS } from './faults.ts';
import type { Suite } from './suite.ts';

/** dr-test on backups and a WAL archive of this host. Of each fault the inside that shows most. */
export const DR_TEST: Suite<Environment> = {
  start: startEnvironment,
  faults: FAULTS,
  sample: [
    ['run timed out', 'inside', 'copyBackup'], ['host lost', 'inside', 'copyBackup'], ['worker stopped, run terminated, worker continued', 'inside', 'copyBackup'],
    ['worker stopped and continued', 'inside', 'compareWithManifest'], ['worker killed', 'inside', 'recoverToEnd'], ['run terminated', 'inside', 'recoverToManifest'],
    ['run cancelled', 'during', null],
    ['Temporal server restarted', 'inside', 'copyBackup'], ['restoring PostgreSQL killed', 'inside', 'compareWithManifest'], ['copying process killed', 'inside', 'copyBackup'],
    ['restoring PostgreSQL told to stop', 'inside', 'recoverToManifest'],
  ],
};
