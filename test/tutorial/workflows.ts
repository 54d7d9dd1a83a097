/** What the tutorial makes of `workflows/index.ts`. */
export * from '../../workflows/index.ts';
export { readOnlyWindow as 'read-only-window' } from './read-only-window/workflow.ts';
