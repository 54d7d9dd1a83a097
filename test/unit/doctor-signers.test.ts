import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Finding } from '../../scripts/cli/doctor-finding.ts';
import { examineSigners } from '../../scripts/cli/doctor-signers.ts';
import { doctor } from '../../scripts/cli/doctor.ts';
import { parseConfiguration } from '../../workers/config.ts';
import { captureOutput } from '../support/captured-output.ts';

let root: string;
let signers: string;
let key: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'doctor-signers-'));
  signers = join(root, 'allowed_signers');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(root, 'key')]);
  key = (await readFile(join(root, 'key.pub'), 'utf8')).trim();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

const text = (assurance: string, approvals = `approvals: { allowedSigners: ${signers} }\n`) => `version: 1
${approvals}evidence: { directory: ${root}/evidence }
drills: { directory: ${root}/drills }
databases:
  orders:
    connection: { host: 127.0.0.1, port: 1 }
    provider: { kind: archive, repository: ${root}/backups, walDirectory: ${root}/wal }
    gates: { start: { approvers: [anna], assurance: ${assurance} } }
`;
const examined = (assurance = 'signature', approvals?: string) => examineSigners(parseConfiguration(text(assurance, approvals), 'r.yaml'));

it('is a part of what `runbook doctor` looks at', async () => {
  await writeFile(join(root, 'r.yaml'), text('signature'));
  const output = captureOutput();
  try {
    await doctor({ config: join(root, 'r.yaml'), address: '127.0.0.1:1', json: true });
    const { findings } = JSON.parse(output.said()) as { findings: Finding[] };
    expect(findings.filter(({ about }) => about === 'approvals')).toMatchObject([{ name: 'ssh-keygen', outcome: 'ok' }, { name: 'allowed signers', outcome: 'problem', detail: expect.stringContaining(`${signers} cannot be read (ENOENT)`) as string }]);
  } finally {
    output.end();
  }
});

it('counts the keys of the file, and finds none where it is not written as ssh-keygen reads it', async () => {
  await writeFile(signers, `# whose signatures count\n\nanna@example.org ${key}\nben@example.org namespaces="approval@durable-runbooks" ${key}\n`);
  await chmod(signers, 0o644);
  expect(await examined()).toMatchObject([{ outcome: 'ok' }, { name: 'allowed signers', outcome: 'ok', detail: `${signers} lists 2 keys` }]);
  await writeFile(signers, `anna@example.org ${key}\nben@example.org\n`);
  expect((await examined())[1]).toMatchObject({ outcome: 'warning', detail: `${signers} lists 1 key; line 2 holds none`, todo: expect.stringContaining('ALLOWED SIGNERS') as string });
  await writeFile(signers, '# nobody\n');
  expect((await examined())[1]).toMatchObject({ outcome: 'problem', detail: `${signers} lists no key, so that no signature counts` });
});

it('warns where others may write it: whose key stands there decides', async () => {
  await writeFile(signers, `anna@example.org ${key}\n`);
  for (const mode of [0o666, 0o664]) {
    await chmod(signers, mode);
    expect((await examined()).slice(1)).toMatchObject([{ outcome: 'ok' }, { outcome: 'warning', detail: expect.stringContaining('others than its owner may write') as string, todo: `chmod go-w ${signers}` }]);
  }
});

it('says where ssh-keygen is missing, or knows no signatures', async () => {
  await writeFile(signers, `anna@example.org ${key}\n`);
  const bin = await mkdtemp(join(root, 'bin-'));
  vi.stubEnv('PATH', bin);
  expect((await examined())[0]).toMatchObject({ name: 'ssh-keygen', outcome: 'problem', detail: expect.stringContaining('ssh-keygen is not installed') as string });
  await writeFile(join(bin, 'ssh-keygen'), '#!/bin/sh\necho "unknown option -- Y" >&2\nexit 1\n', { mode: 0o755 });
  expect((await examined())[0]).toMatchObject({ outcome: 'problem', detail: expect.stringContaining('too old') as string });
});

it('looks at nothing where no gate asks for signatures and no file is configured', async () => {
  expect(await examined('claimed', '')).toEqual([]);
  await writeFile(signers, `anna@example.org ${key}\n`);
  await chmod(signers, 0o600);
  expect(await examined('claimed')).toHaveLength(2);
});
