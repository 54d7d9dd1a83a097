import { expect, it } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import { followDrill } from '../../scripts/demo/follow-drill.ts';

const atGate = { phase: 'gate: start', openGate: { planHash: 'abc' } } as Progress;

it('the demo sends its approval until it arrives, says so, and shows the plan once', async () => {
  const said: string[] = [];
  let sent = 0;
  const look = followDrill({
    progress: () => Promise.resolve(atGate),
    planLines: () => Promise.resolve(['restores p1']),
    announcement: 'approving',
    approve: () => (++sent === 1 ? Promise.reject(new Error('14 UNAVAILABLE')) : Promise.resolve()),
    log: (line) => said.push(line.trim()),
  });
  for (let looks = 0; looks < 3; looks += 1) await look();
  expect(sent).toBe(2);
  expect(said).toEqual(['gate: start', 'restores p1', 'approving', 'the approval did not arrive, and is sent again: 14 UNAVAILABLE']);
});
