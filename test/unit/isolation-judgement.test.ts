import { expect, it } from 'vitest';
import { judgeIsolation } from '../../activities/archive-provider/preflight.ts';

const whole = { network: 'isolated', mounts: 'isolated', reason: null } as const;
const noMounts = { network: 'isolated', mounts: 'notIsolated', reason: 'mount: denied' } as const;
const nothing = { network: 'notIsolated', mounts: 'notIsolated', reason: 'unshare: denied' } as const;

it('a copy that is cut off from everything passes, whatever is wanted', () => {
  for (const wanted of ['required', 'bestEffort'] as const) expect(judgeIsolation(whole, wanted)).toMatchObject({ outcome: 'passed' });
});

it('what the host does not allow is no pass: it is said where it may be, and refused where it may not', () => {
  expect(judgeIsolation(noMounts, 'bestEffort')).toMatchObject({ outcome: 'skipped', detail: "production's files and sockets on this host cannot be hidden from the drill: mount: denied" });
  expect(judgeIsolation(nothing, 'bestEffort')).toMatchObject({ outcome: 'skipped', detail: 'the drill cannot be cut off from the network: unshare: denied' });
  expect(judgeIsolation(noMounts, 'required')).toEqual({ lacking: "production's files and sockets on this host cannot be hidden from the drill (mount: denied)" });
  expect(judgeIsolation(nothing, 'required')).toEqual({ lacking: 'the drill cannot be cut off from the network (unshare: denied)' });
});
