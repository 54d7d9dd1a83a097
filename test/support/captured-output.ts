import { vi } from 'vitest';

/** Keeps what commands that run in this process write, from now until `end`. */
export function captureOutput(): { said: () => string; clear: () => void; end: () => void } {
  let said = '';
  const spies = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write').mockImplementation((text) => { said += String(text); return true; }));
  return { said: () => said, clear: () => { said = ''; }, end: () => spies.forEach((spy) => spy.mockRestore()) };
}
