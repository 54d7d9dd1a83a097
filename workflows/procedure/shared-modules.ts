import { z } from 'zod';

/**
 * Packages that all workflows of a worker share: bundles are made with the path of this file in `preloadModules`. The SDK
 * gives each workflow in memory modules of its own, and zod alone is more than a megabyte. What is named here must keep no
 * state, and is frozen: our schemas, which zod completes when they are first used, cannot be.
 */
export * as zod from 'zod';
export * as sha2 from '@noble/hashes/sha2.js';
export * as hashUtils from '@noble/hashes/utils.js';

// What zod sets up with the first schema of a kind cannot be set once it is frozen.
z.object({});
