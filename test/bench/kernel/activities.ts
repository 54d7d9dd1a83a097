import type { RecoverToManifestInput, RecoverToManifestResult } from '../../../activities/dr-test/drill-activities.ts';

/** Takes and gives as much as a step of dr-test does, and does nothing. */
export const benchActivities = {
  async recoverToManifest({ lsn }: RecoverToManifestInput): Promise<RecoverToManifestResult> {
    return { replayedLsn: lsn, seconds: 12.345, repeatedSeconds: 0.25 };
  },
  async undoNothing(): Promise<void> {},
};
/** What the bench's workflows know of them: no more than the types. */
export type BenchActivities = typeof benchActivities;
