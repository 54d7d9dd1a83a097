/** A target whose runs have guardians that end at once: what is left is what a run takes by itself. */
export const UNGUARDED = 'unguarded';
