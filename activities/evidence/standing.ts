import type { Flaw, Verification } from './chain/verify.ts';

/** What a report says of the file that it is made of. */
export interface Standing {
  /** Whether the chain of the file holds: only then is it what was written. */
  holds: boolean;
  /** In one sentence, for people. */
  sentence: string;
  /** What does not check out, a line each. */
  flaws: string[];
  /** Pointers of the values that are not known. */
  redacted: string[];
}

/** As the words of a flaw stand in a sentence. */
export const FLAW_WORDS: Record<Flaw['what'], string> = { altered: 'altered', dropped: 'dropped', added: 'added', moved: 'moved', notCanonical: 'not canonical', unreadable: 'unreadable' };

/** What a verified file is worth. Neither its head nor its signature was looked at, so it is never authentic here. */
export function standingOf({ flaws, redacted }: Verification): Standing {
  const holds = flaws.length === 0;
  return {
    holds, redacted,
    sentence: holds ? 'consistent, not authenticated: `runbook verify` with --head or --key makes more of it' : 'THIS FILE IS NOT AS IT WAS WRITTEN: believe nothing below',
    flaws: flaws.map(({ what, part, detail }) => `${FLAW_WORDS[what]} ${part}: ${detail}`),
  };
}
