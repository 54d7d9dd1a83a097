import type { ComparisonResult } from '../../contracts/manifest.ts';

/** Rows that a comparison left out, by table, each as `by design` or `open`, with the first words of why. */
export function rowsLeft({ notVerified }: ComparisonResult): string[] {
  return notVerified.flatMap(({ what, why, byDesign }) => (/ rows of /.test(what) ? [`${byDesign ? 'by design' : 'open'}: ${what}: ${why.split(/[,;:(]/)[0]?.trim()}`] : [])).toSorted();
}
