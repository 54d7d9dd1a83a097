import module from 'node:module';
import { join } from 'node:path';
import { cacheDirectory } from './user-directories.ts';

/** Node has it from 22.8 on; its types here are those of the oldest Node that we run on. */
interface CompileCache { enableCompileCache?: (directory: string) => unknown; flushCompileCache?: () => void }
const { enableCompileCache, flushCompileCache } = module as CompileCache;

// Importing this does it: it must come before what is to be kept. Within this user's own cache: in the shared temporary
// directory, Node's default, others could leave code for us. One that cannot be written costs time and nothing else, and
// NODE_COMPILE_CACHE and NODE_DISABLE_COMPILE_CACHE outrank this.
try {
  enableCompileCache?.(join(cacheDirectory(), 'compiled'));
} catch {
  // A user without a name and without HOME, as in a container, has no cache of his own.
}

/** Writes down what V8 compiled so far, for the next start. Node does it when a process ends, but workers are often killed. */
export function keepCompiled(): void {
  flushCompileCache?.();
}
