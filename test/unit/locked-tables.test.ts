import { expect, it } from 'vitest';
import { LockedTables, type Before, type Lockable } from '../../activities/manifest/since/locked-tables.ts';
import { LockedAtSource } from '../../activities/manifest/since/of-source.ts';

const refuse = () => Promise.reject(new LockedAtSource('locked'));
const free = () => Promise.resolve('read');
const tables = () => new LockedTables(0, new AbortController().signal);

it('a table that is locked is asked for a few times, and given up then', async () => {
  const [locked, table]: [LockedTables, Lockable] = [tables(), {}];
  let before: Before = 'nothing';
  let asked = 0;
  while (!table.isGivenUp) {
    const result: { later: Before } | { done: unknown } = await locked.work(table, before, () => { asked += 1; return refuse(); });
    before = 'later' in result ? result.later : 'nothing';
  }
  expect(asked).toBe(5);
  // What asks the source no more is done.
  expect(await locked.work(table, before, free)).toEqual({ done: 'read' });
});

it('its other parts are put off, and those that are refused together are one try', async () => {
  const [locked, table]: [LockedTables, Lockable] = [tables(), {}];
  const together = () => Promise.all(Array.from({ length: 8 }, () => locked.work(table, 'nothing', refuse)));
  expect(await together()).toEqual(Array.from({ length: 8 }, () => ({ later: 'refused' })));
  expect(await locked.work(table, 'nothing', free)).toEqual({ later: 'put off' });
  expect(await locked.work({}, 'nothing', free)).toEqual({ done: 'read' });
  expect(table.isGivenUp).toBeUndefined();
});

it('one that is free again is as if it had never been locked, once a part that was refused is done', async () => {
  const [locked, table]: [LockedTables, Lockable] = [tables(), {}];
  for (let n = 0; n < 10; n += 1) {
    await locked.work(table, 'nothing', refuse);
    expect(await locked.work(table, 'put off', free)).toEqual({ done: 'read' });
    expect(await locked.work(table, 'nothing', free)).toEqual({ later: 'put off' });
    expect(await locked.work(table, 'refused', free)).toEqual({ done: 'read' });
    expect(await locked.work(table, 'nothing', free)).toEqual({ done: 'read' });
  }
  expect(table.isGivenUp).toBeUndefined();
});

it('any other error ends the work', async () => {
  await expect(tables().work({}, 'nothing', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
});
