import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type * as isolation from '../../activities/drill/isolation.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { examineBackups } from '../../scripts/cli/doctor-backups.ts';
import { Findings } from '../../scripts/cli/doctor-finding.ts';
import { examineHost } from '../../scripts/cli/doctor-host.ts';
import { adviceFor, type SourceFacts } from '../../scripts/cli/doctor-source.ts';

const probed = vi.hoisted(() => vi.fn<() => Promise<unknown>>());
vi.mock('../../activities/drill/isolation.ts', async (original) => ({ ...await original<typeof isolation>(), probeIsolation: probed }));

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'doctor-'));
  await mkdir(join(root, 'wal'));
});
afterEach(() => rm(root, { recursive: true }));

function configurationOf(network = 'bestEffort') {
  const configuration = configurationSchema.parse({
    version: 1, drills: { directory: join(root, 'drills'), reserve: '1kB', network }, evidence: { directory: join(root, 'evidence') },
    databases: { shop: { connection: {}, provider: { kind: 'archive', repository: root, walDirectory: join(root, 'wal') } } },
  });
  return { configuration, settings: configuration.databases['shop']! };
}

describe('the WAL archive', () => {
  const LAST = '00000001000000000000002A';
  async function archive(lastArchived: SourceFacts['lastArchived']) {
    const findings = new Findings('shop');
    const { configuration, settings } = configurationOf();
    await examineBackups(settings, configuration, { major: 18, lastArchived }, findings);
    return findings.all.find(({ name }) => name === 'WAL archive');
  }

  it('is the right one when it holds what the source archived last', async () => {
    await writeFile(join(root, 'wal', LAST), '');
    expect(await archive(LAST)).toMatchObject({ outcome: 'ok' });
    expect(await archive(null)).toMatchObject({ outcome: 'ok' });
  });

  it('is a problem when it is empty, or holds the WAL of something else', async () => {
    expect(await archive(LAST)).toMatchObject({ outcome: 'problem', detail: expect.stringContaining(`does not hold ${LAST}`) as string, todo: expect.stringContaining('provider.walDirectory') as string });
    expect(await archive(null)).toMatchObject({ outcome: 'problem', detail: expect.stringContaining('nothing of a WAL archive') as string });
    await writeFile(join(root, 'wal', '000000010000000000000001'), '');
    expect(await archive(LAST)).toMatchObject({ outcome: 'problem', detail: expect.stringContaining('another server') as string });
  });
});

describe('isolation', () => {
  const found = async (network: string) => (await examineHost(configurationOf(network).configuration)).find(({ name }) => name === 'isolation');

  it('is judged as a drill judges it: without sight of its files, production can be reached as well as by the network', async () => {
    probed.mockResolvedValue({ network: 'isolated', mounts: 'notIsolated', reason: 'mount: denied' });
    expect(await found('required')).toMatchObject({ outcome: 'problem', detail: "production's files and sockets on this host cannot be hidden from the drill (mount: denied)", todo: expect.stringContaining('drills.network') as string });
    expect(await found('bestEffort')).toMatchObject({ outcome: 'warning' });
    probed.mockResolvedValue({ network: 'isolated', mounts: 'isolated', reason: null });
    expect(await found('required')).toMatchObject({ outcome: 'ok' });
  });
});

it.each([
  [undefined, 'The server does not support SSL connections', /sslmode to disable/],
  ['28000', 'no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption', /sslmode to require/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', /connection\.sslmode: verify-full/],
  ['28P01', 'password authentication failed', /password/],
])('advice for %s: %s names the setting', (code, message, advice) => {
  expect(adviceFor(code, message)).toMatch(advice);
});
