import { writeFileSync } from 'node:fs';

/**
 * A reporter of vitest that writes what its JSON leaves out into the file `CI_WHOLE`: errors beside all tests, files that were to
 * run and never came to an end (their process died), and whether the run was ended early.
 */
export default class Whole {
  #files = new Set();

  onTestRunStart(specifications) {
    for (const { moduleId } of specifications) this.#files.add(moduleId);
  }

  onTestRunEnd(modules, errors, reason) {
    const ended = new Set(modules.filter((module) => module.state() !== 'pending' && module.state() !== 'queued').map(({ moduleId }) => moduleId));
    const unfinished = new Set(modules.filter((module) => [...module.children.allTests()].some((test) => test.result().state === 'pending')).map(({ moduleId }) => moduleId));
    writeFileSync(process.env.CI_WHOLE, JSON.stringify({
      errors: errors.map(({ message, stack }) => String(stack ?? message)),
      unfinished: [...this.#files].filter((file) => !ended.has(file) || unfinished.has(file)),
      files: this.#files.size,
      reason,
    }));
  }
}
