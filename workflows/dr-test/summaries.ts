import type { CompareResult } from '../../activities/dr-test/drill-activities.ts';
import type { Check } from '../../contracts/evidence.ts';

/** `3 tables`, `1 row`. */
export function count(number: number, noun: string): string {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
}

/** A size for people, in powers of two. */
export function bytes(size: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A duration for people. */
export function seconds(value: number): string {
  return value < 90 ? `${value.toFixed(value < 10 ? 1 : 0)} s` : `${Math.round(value / 60)} min`;
}

/** What checks came to: the one's own words, or how many failed or had no answer. */
export function summaryOf(checks: readonly Check[]): string {
  const [only] = checks;
  if (!only) return 'nothing to check';
  if (checks.length === 1) return only.detail;
  const number = (outcome: Check['outcome']) => checks.filter((check) => check.outcome === outcome).length;
  const [failed, skipped] = [number('failed'), number('skipped')];
  if (failed > 0) return `${failed} of ${checks.length} failed${skipped > 0 ? `, ${skipped} without an answer` : ''}`;
  return skipped > 0 ? `${skipped} of ${checks.length} without an answer` : `${checks.length} passed`;
}

/** What was compared, and of how much no more than the number of rows. */
export function comparedIn({ tables, rows, counted, objects, checks }: CompareResult): string {
  const number = counted && counted.tables > 0 ? `; ${count(counted.tables, 'table')} counted only, ${count(counted.rows, 'row')}` : '';
  return `${count(tables, 'table')}, ${count(rows, 'row')}, ${count(objects, 'definition')}${number}${hasFailed(checks) ? '; not all as in the manifest' : ''}`;
}

/** Whether one of them failed: the step that made them must not look as if all were well. */
export function hasFailed(checks: readonly Check[]): boolean {
  return checks.some(({ outcome }) => outcome === 'failed');
}
