/**
 * What a worker loads while its workflow thread starts. The build makes one file of it: 150 small ones take the main
 * thread longer than the thread needs to start.
 */
export { Client } from '@temporalio/client';
export { createActivities } from '../activities/create-activities.ts';
export { sweepBriefDirectories } from '../activities/kernel/brief-directory.ts';
export { createEndWatch } from '../activities/kernel/unguarded-ends.ts';
export { RUNBOOKS } from '../contracts/runbooks.ts';
export { sweepAbandonedPlaces } from '../activities/archive-provider/sweep-places.ts';
export { sendLateCopies } from '../activities/evidence/late-copies.ts';
export { sweepAbandonedBackups } from '../activities/backup/sweep-incoming.ts';
export { evidenceSigner, loadConfiguration, probeEnvironment, resolvePassword, resolveSecret } from './config.ts';
export { registerSearchAttributes } from './search-attributes.ts';
