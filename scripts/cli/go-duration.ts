const UNIT_MS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)/y;

/** A duration as Temporal's CLI takes it, such as `1h30m`, `2d` or `0`, in milliseconds; undefined for what is none, and for one before zero. */
export function goDurationMs(text: string): number | undefined {
  if (/^\+?0$/.test(text)) return 0;
  let [at, ms] = [text.startsWith('+') ? 1 : 0, 0];
  if (at === text.length) return undefined;
  while (at < text.length) {
    PART.lastIndex = at;
    const match = PART.exec(text);
    if (!match) return undefined;
    ms += Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? Number.NaN);
    at = PART.lastIndex;
  }
  return ms;
}
