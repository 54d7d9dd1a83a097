/** Ends with 1, and says what to install, when the browser tests have no browser. `npm run browser` runs it first. */
import { CHROMIUM_MISSING, findChromium } from './find-chromium.ts';

if (findChromium() === undefined) {
  process.stderr.write(`${CHROMIUM_MISSING}\n`);
  process.exitCode = 1;
}
