import { expect, it } from 'vitest';
import { judgeIsolation } from '../../activities/archive-provider/preflight.ts';

const whole = { network: 'isolated', mounts: 'isolated', reason: null } as const;
const noMounts = { network: 'isolated', mounts: 'notIsolated', reason: 'mount: denied' } as const;
const nothing = { network: 'notIsolated', mounts: 'notIsolated', reason: 'unshare: denied' } as const;

it('a copy that is cut off from everything passes, whatever is wanted', () => {
  for (const wanted of ['required', 'bestEffort'] as const) expect(judgeIsolation(whole, null, wanted)).toMatchObject({ outcome: 'passed' });
});

it('what the host does not allow is no pass: it is said where it may be, and refused where it may not', () => {
  expect(judgeIsolation(noMounts, null, 'bestEffort')).toMatchObject({ outcome: 'skipped', detail: "production's files and sockets on this host cannot be hidden from the drill: mount: denied" });
  expect(judgeIsolation(nothing, null, 'bestEffort')).toMatchObject({ outcome: 'skipped', detail: 'the drill cannot be cut off from the network: unshare: denied' });
  expect(judgeIsolation(noMounts, null, 'required')).toEqual({ lacking: "production's files and sockets on this host cannot be hidden from the drill (mount: denied)" });
  expect(judgeIsolation(nothing, null, 'required')).toEqual({ lacking: 'the drill cannot be cut off from the network (unshare: denied)' });
});

it("a copy that runs as production's own user is no pass either, whatever else holds, and each of the two is named", () => {
  const user = "it runs as user 101, as the worker does, to whom production's server belongs";
  const open = "the drill cannot be kept from production's processes and all of its files";
  expect(judgeIsolation(whole, user, 'bestEffort')).toMatchObject({ outcome: 'skipped', detail: `${open}: ${user}` });
  expect(judgeIsolation(whole, user, 'required')).toEqual({ lacking: `${open} (${user})` });
  expect(judgeIsolation(nothing, user, 'bestEffort')).toMatchObject({ detail: `the drill cannot be cut off from the network: unshare: denied; ${open}: ${user}` });
});
