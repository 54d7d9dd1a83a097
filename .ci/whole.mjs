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
    const isOver = (module) => !['pending', 'queued'].includes(module.state()) && [...module.children.allTests()].every((test) => test.result().state !== 'pending');
    const isWhole = (file) => {
      const its = modules.filter(({ moduleId }) => moduleId === file);
      return its.length > 0 && its.every(isOver);
    };
    writeFileSync(process.env.CI_WHOLE, JSON.stringify({
      errors: errors.map(({ message, stack }) => String(stack ?? message)),
      unfinished: [...this.#files].filter((file) => !isWhole(file)),
      reason,
    }));
  }
}
