/** What stands for a number that was redacted. */
export const UNKNOWN_NUMBER = 'not known';

/** Seconds as people read them: `0.42 s`, `12.3 s`, `4 min 07 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatSeconds(seconds: number): string {
  if (Number.isNaN(seconds)) return UNKNOWN_NUMBER;
  if (seconds < 0) return `-${formatSeconds(-seconds)}`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)} h ${two(Math.floor((whole % 3_600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3_600)} h`;
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Bytes as people read them, in powers of 1000: `812 B`, `1.54 GB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2)} ${BYTE_UNITS[unit]}`;
}
