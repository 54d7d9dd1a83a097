import { isAbsolute, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BundleOptions } from '@temporalio/worker';

/** From sources in tests, else from what was built of them. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const base = fileURLToPath(new URL(extension === 'ts' ? '..' : '../..', import.meta.url));
const workflow = (path: string): string => fileURLToPath(new URL(`../workflows/${path}.${extension}`, import.meta.url));

/** What a bundle has beside the kernel; paths are absolute. */
export interface Bundled {
  /** The module that exports workflows under their types; the default is `workflows/index.ts`. */
  workflowsPath?: string;
  /** Modules that their runs share, beside those of `workflows/shared-modules.ts`. */
  shared?: string[];
}

/** What a bundle of workflows with our kernel is made with, by `bundleWorkflowCode`. */
export function bundleOptions({ workflowsPath = workflow('index'), shared = [] }: Bundled = {}): BundleOptions {
  return {
    workflowsPath,
    // Without them no step would carry its header, and the guardian would find an empty ledger; queries could move runs; and some thousand signals could end a worker's process.
    workflowInterceptorModules: [workflow('procedure/step-header'), workflow('procedure/unmoved-by-queries'), workflow('procedure/signals')],
    // Without it anybody's argument in an encoding that the SDK does not know would fail a workflow's task for ever.
    payloadConverterPath: workflow('procedure/payload-converter'),
    preloadModules: [workflow('shared-modules'), ...shared],
    webpackConfigHook: (config) => ({
      ...config,
      // Lines for stack traces without the sources, which lie beside it: each worker reads the map at its start.
      devtool: 'inline-nosources-cheap-module-source-map',
      // Stack traces stand in histories, and in memory for each promise that is pending: they need not say where this is installed.
      output: { ...config.output, devtoolModuleFilenameTemplate: ({ absoluteResourcePath }: { absoluteResourcePath: string }) => shortName(absoluteResourcePath) },
    }),
  };
}

function shortName(path: string): string {
  if (!isAbsolute(path)) return path;
  const at = path.lastIndexOf('node_modules/');
  return at === -1 ? relative(base, path) : path.slice(at);
}
