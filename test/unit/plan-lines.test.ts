import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { planLines } from '../../contracts/plan-lines.ts';

/** Of runs that were recorded: what people are shown who decide on them, in a terminal, in messages and in the web UI. */
const read = (file: string) => JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as Record<string, unknown>;
const about = { input: { database: 'shop', recoveryPoint: 'latest', depth: 'standard', requester: 'rita', reason: 'x'.repeat(400) }, codeVersion: '1.2.3' };

it('says of a drill first what is restored, created and compared, what it is held against, the input and the code version', () => {
  const { plan } = read('../replay/evidence/dr-test-sound.json');
  expect(planLines({ plan, ...about }, Date.parse('2026-11-29T17:53:02.351Z'))).toEqual([
    'restores  20261129T175201Z-ca86d4c3 (archive), taken 2026-11-29T17:52:02.351Z, 1 min 00 s ago',
    'replays   to the end of the archive as it was at 2026-11-29T17:52:05.039Z',
    'takes     about 4 s (a guess: no earlier drill of this target is known) for 92.1 MB: 41.7 MB, and 50.3 MB of archive',
    'creates   /var/tmp/durable-runbooks/recording/drills/dfebe0b0-<fence> on demo, with a database server; <fence> is a number that the lock gives',
    'expires   with the run, which ends at the latest 2 d 0 h after it gets the target',
    'compares  every row and definition of postgres (2 tables) and shop (38 tables); own checks: 2; application probe: none',
    'aims at   RTO 2 min 00 s (without waiting for people), RPO 1 min 00 s',
    expect.stringMatching(/^input {5}database: shop, recoveryPoint: latest, depth: standard, requester: rita, reason: x{71}…$/) as string,
    'code      version 1.2.3',
  ]);
});

it('says the same of one in RDS, and what it costs', () => {
  expect(planLines({ plan: read('./plans/dr-test-rds.json'), ...about }, null)).toEqual([
    'restores  time.20261130T064938Z (rds), taken 2026-11-30T06:49:38.000Z',
    'replays   to the end of the archive as it was at 2026-11-30T06:49:38.279Z',
    'takes     about 2 min 20 s (a guess: no earlier drill of this target is known) for 21.5 GB: 21.5 GB, and 0 B of archive',
    expect.stringMatching(/^costs {5}about 0\.0605 EUR: 140 s \(a guess/) as string,
    'creates   RDS instance runbooks-d-12f62fbf-<fence>; <fence> is a number that the lock gives',
    'expires   with the run, which ends at the latest 2 d 0 h after it gets the target',
    'compares  every row and definition of postgres (2 tables) and shop (4 tables), with the manifest or the living source; own checks: 1; application probe: none',
    'aims at   neither an RTO nor an RPO',
    expect.stringMatching(/^input {5}database: shop/) as string,
    'code      version 1.2.3',
  ]);
});

it('leaves out an age where it would become wrong', () => {
  const { plan } = read('../replay/evidence/dr-test-sound.json');
  expect(planLines({ plan }, null)[0]).toBe('restores  20261129T175201Z-ca86d4c3 (archive), taken 2026-11-29T17:52:02.351Z');
});

it('says of a snapshot that is taken what it is, the input and the code version', () => {
  const lines = planLines({ plan: read('../replay/evidence/database-snapshot-sound.json')['plan'], input: { database: 'shop' }, codeVersion: '1.2.3' }, null);
  for (const line of ['copies: eu-west-1', 'expiresAt: 2026-11-30T03:48:56.612Z', 'input.database: shop', 'code version: 1.2.3']) expect(lines).toContain(line);
});
