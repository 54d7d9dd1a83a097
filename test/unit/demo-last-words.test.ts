import { describe, expect, it } from 'vitest';
import type { Check } from '../../contracts/evidence.ts';
import type { DemoEnvironment } from '../../scripts/demo/environment.ts';
import { keptLines, namesDamage } from '../../scripts/demo/last-words.ts';

const check = (outcome: Check['outcome'], detail: string): Check => ({ name: 'rows of shop', outcome, detail });

describe('a drill of a damaged backup has named the damage', () => {
  const evidence: Parameters<typeof namesDamage>[0] = { outcome: 'failed', verdict: { restore: 'unsound', rto: 'met', rpo: 'met' }, failure: { type: 'RESTORE_UNSOUND', message: 'the restored database is not what was backed up' }, checks: [check('passed', 'public.refunds: all rows'), check('failed', 'public.orders: a row is missing')] };

  it('where a check that failed says it, or the failure does', () => {
    expect(namesDamage(evidence, ['public.payments', 'public.orders'])).toBe(true);
    expect(namesDamage({ ...evidence, checks: [], failure: { type: 'BACKUP_DAMAGED', message: 'base/5/1259 is missing' } }, ['base/5/1259'])).toBe(true);
  });

  it('not where only a check that passed says it, nor where the run did not fail, or not for that', () => {
    expect(namesDamage(evidence, ['public.refunds'])).toBe(false);
    expect(namesDamage(evidence, [])).toBe(false);
    expect(namesDamage({ ...evidence, outcome: 'succeeded' }, ['public.orders'])).toBe(false);
    expect(namesDamage({ ...evidence, verdict: { restore: 'notProven', rto: 'met', rpo: 'met' } }, ['public.orders'])).toBe(false);
  });
});

it('a demo that stays up says how to look at it, how to reach it, and how to stop it', () => {
  const demo = { server: { uiAddress: 'http://127.0.0.1:8233', address: '127.0.0.1:7233' }, production: { socketDirectory: '/s', port: 5, superuser: { user: 'postgres' }, database: 'shop' }, temporalCli: "/it's/bin/temporal", configurationFile: '/d/runbooks.yaml' } as unknown as DemoEnvironment;
  const lines = keptLines(demo, { programs: '/clone/bin', pid: 42, environment: { HOME: '/h', TEMPORAL_CLI_PATH: '/t', TEMPORAL_ADDRESS: 'theirs:1' } });
  expect(lines[0]).toMatch(/^web UI +http:\/\/127\.0\.0\.1:8233$/);
  expect(lines).toContainEqual(expect.stringMatching(/^stop everything +Ctrl-C here, or: kill 42$/));
  expect(lines).toContain(`export PATH='/clone/bin:/it'\\''s/bin':"$PATH"`);
  expect(lines).toContain('export RUNBOOKS_CONFIG=/d/runbooks.yaml TEMPORAL_ADDRESS=127.0.0.1:7233 TEMPORAL_NAMESPACE=default TEMPORAL_CONFIG_FILE=/nonexistent/temporal.toml');
  expect(lines.join('\n')).not.toContain('unset');
  const elsewhere = keptLines(demo, { programs: '/clone/bin', pid: 42, environment: { TEMPORAL_NAMESPACE: 'ops', TEMPORAL_API_KEY: 'k', TEMPORAL_PROFILE: 'p' } });
  expect(elsewhere).toContain('unset TEMPORAL_API_KEY TEMPORAL_PROFILE');
});
