import { setTimeout as sleep } from 'node:timers/promises';
import type { Progress } from '../../contracts/messages.ts';

/** So long after an approval that did not arrive the next one is sent. */
const TRY_AGAIN_MS = 1_000;

/** What it takes to follow a drill: asked anew at every look. */
export interface Followed {
  progress: () => Promise<Progress>;
  /** The plan of that hash, in lines. */
  planLines: (planHash: string) => Promise<string[]>;
  /** What stands above the decision: what is sent, or what a person has to send. */
  announcement: string;
  /** Sends the approval; not given where a person does. */
  approve?: () => Promise<unknown>;
  log: (line: string) => void;
}

/** Makes a function that looks at a drill once: it tells phases, shows the plan at the gate, and approves there until that was taken. */
export function followDrill({ progress, planLines, announcement, approve, log }: Followed): () => Promise<void> {
  let last = '';
  let isShown = false;
  let isSent = false;
  return async () => {
    const { phase, openGate } = await progress();
    if (phase !== last) log(`  ${phase}`);
    last = phase;
    if (openGate === null) return;
    if (!isShown) {
      const lines = await planLines(openGate.planHash);
      isShown = true;
      for (const line of lines) log(`    ${line}`);
      log(`  ${announcement}`);
    }
    if (isSent || !approve) return;
    try {
      await approve();
      isSent = true;
    } catch (error) {
      log(`  the approval did not arrive, and is sent again: ${(error as Error).message}`);
      await sleep(TRY_AGAIN_MS);
    }
  };
}
