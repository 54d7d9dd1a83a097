import { z } from 'zod';

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** Parses `90s`, `15m`, `1.5h`, `2d` into milliseconds; undefined when the text is not a duration. */
export function parseDurationMs(text: string): number | undefined {
  const match = DURATION.exec(text.trim());
  if (!match) return undefined;
  return Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]);
}

/** A duration as people write it (`15m`); its value is milliseconds. A bare number is refused: it has no unit. */
export const durationMs = z.string().transform((text, context) => {
  const value = parseDurationMs(text);
  if (value === undefined) {
    context.addIssue({ code: 'custom', message: `"${text}" is not a duration; write a number and a unit, as in 90s, 15m, 4h or 2d` });
    return z.NEVER;
  }
  return value;
});

/** The most that a timer of Node, and a setting of PostgreSQL, takes: some 24.8 days. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** A duration after which something is given up. None, and what no timer takes, would mean something else: never, or at once. */
export const timeoutMs = durationMs.refine((ms) => ms > 0 && ms <= LONGEST_TIMEOUT_MS, 'has to be longer than 0 and at most 24d');

const SIZE_UNITS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;
const SIZE = /^(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;

/** A size as people write it (`2GiB`, `500MB`); its value is bytes. */
export const sizeBytes = z.string().transform((text, context) => {
  const match = SIZE.exec(text.trim());
  if (!match) {
    context.addIssue({ code: 'custom', message: `"${text}" is not a size; write a number and a unit, as in 500MB or 2GiB` });
    return z.NEVER;
  }
  return Math.round(Number(match[1]) * SIZE_UNITS[match[2] as keyof typeof SIZE_UNITS]);
});
