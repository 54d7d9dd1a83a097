/** Every workflow under its type name. */
export { backup } from './backup/workflow.ts';
export { databaseSnapshot as 'database-snapshot' } from './database-snapshot/workflow.ts';
export { drTest as 'dr-test' } from './dr-test/workflow.ts';
export { guardian } from './guardian/workflow.ts';
export { lock } from './lock/workflow.ts';
export { notification } from './notification/workflow.ts';
export { manifest } from './manifest/workflow.ts';
