import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { createEvidenceWriter } from '../../activities/evidence/evidence-writer.ts';
import { canonicalJson } from '../../contracts/canonical.ts';
import { signer } from '../../activities/evidence/chain/sign.ts';
import { report } from '../../scripts/cli/report.ts';
import { verify } from '../../scripts/cli/verify.ts';
import { sampleEvidence } from './report-fixture.ts';

const key = generateKeyPairSync('ed25519');
let directory: string;
let file: string;
let head: string;
let publicKey: string;
let printed: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'verify-'));
  const written = await createEvidenceWriter({ store: directoryStore(directory), sign: signer(key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()) }).write(sampleEvidence());
  file = written.evidence;
  head = written.head ?? '';
  publicKey = join(directory, 'public.pem');
  await writeFile(publicKey, key.publicKey.export({ type: 'spki', format: 'pem' }));
  printed = '';
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});

it('says of a chain that holds that it is consistent, and no more than that', async () => {
  expect(await verify(file, {})).toBe(0);
  expect(printed).toContain('consistent, not authenticated');
});

it.each([['the head', () => ({ head })], ['the signature', () => ({ key: publicKey })], ['both', () => ({ head, key: publicKey })]])('is authentic by %s', async (_title, options) => {
  expect(await verify(file, options())).toBe(0);
  expect(printed).toContain('authentic, by');
});

it('is not authentic by another head, by another key, or by a signature that is not there', async () => {
  expect(await verify(file, { head: 'f'.repeat(64) })).toBe(1);
  expect(printed).toContain('the head is not the one that was given');
  const other = join(directory, 'other.pem');
  await writeFile(other, generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
  expect(await verify(file, { key: other })).toBe(1);
  const unsigned = await createEvidenceWriter({ store: directoryStore(join(directory, 'unsigned')) }).write(sampleEvidence());
  expect(await verify(unsigned.evidence, { key: publicKey })).toBe(1);
  expect(printed).toContain('it is not signed');
});

it('a chain that a forger made anew is consistent, and not authentic', async () => {
  const forged = await createEvidenceWriter({ store: directoryStore(join(directory, 'forged')), sign: signer(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()) }).write(sampleEvidence({ verdict: { restore: 'sound', rto: 'met', rpo: 'met' } }));
  expect(await verify(forged.evidence, {})).toBe(0);
  expect(await verify(forged.evidence, { head })).toBe(1);
  expect(await verify(forged.evidence, { key: publicKey })).toBe(1);
});

it('evidence of a version without chains is told so', async () => {
  const old = join(directory, 'old.json');
  await writeFile(old, JSON.stringify(sampleEvidence()));
  expect(await verify(old, { json: true })).toBe(1);
  expect(JSON.parse(printed)).toMatchObject({ verdict: 'not as it was written', flaws: expect.arrayContaining([expect.objectContaining({ what: 'dropped', part: 'the chain' })]) as unknown });
});

it('what report redacts verifies under the same head and signature', async () => {
  // Why a decision did not count stands among what was refused, too.
  expect(await report(file, { redact: ['/reason', '/gates/0/decisions/0/reason', '/refused/0'] })).toBe(0);
  const handedOn = join(directory, 'handed-on.json');
  await writeFile(handedOn, printed);
  printed = '';
  expect(await verify(handedOn, { head, key: publicKey })).toBe(0);
  expect(printed).toContain('redacted, so not known: /chain/planHash, /gates/0/decisions/0/reason, /gates/0/planHash, /reason, /refused/0');
  await expect(report(file, { redact: ['/nowhere'] })).rejects.toMatchObject({ exitCode: 2 });
});

it.each([['no 64 digits', { head: 'abc' }], ['no key', { key: '/dev/null' }]])('wrong use, with %s, ends with 2', async (_title, options) => {
  await expect(verify(file, options)).rejects.toMatchObject({ exitCode: 2 });
});

it('a file that is not there ends with 2', async () => {
  await expect(verify(join(directory, 'nothing.json'), {})).rejects.toMatchObject({ exitCode: 2 });
});

it('holds the block of the signature too, byte by byte, and says when it was not looked at', async () => {
  const forge = async (change: (signature: { key: string; value: string }) => void) => {
    const evidence = JSON.parse(await readFile(file, 'utf8')) as { chain: { seal: { signature: { key: string; value: string } } } };
    change(evidence.chain.seal.signature);
    const forged = join(directory, 'forged.json');
    await writeFile(forged, canonicalJson(evidence));
    return forged;
  };
  for (const change of [
    (signature: { key: string }) => { signature.key = 'f'.repeat(64); },
    (signature: { value: string }) => { signature.value += '!!hello'; },
    (signature: { value: string }) => { signature.value = signature.value.replace(/A==$|Q==$|g==$|w==$/, 'x=='); },
  ]) expect(await verify(await forge(change as never), { key: publicKey })).toBe(1);
  printed = '';
  expect(await verify(file, { head, json: true })).toBe(0);
  expect(JSON.parse(printed)).toMatchObject({ authenticated: 'head', signedWith: null, signature: 'not checked' });
  printed = '';
  expect(await verify(file, { key: publicKey, json: true })).toBe(0);
  expect(JSON.parse(printed)).toMatchObject({ signature: 'verified', signedWith: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
});

it('prints nothing under the promise that it verifies where it would not', async () => {
  for (const pointer of ['/gates/0', '/gates/0/decisions']) await expect(report(file, { redact: [pointer] }), pointer).rejects.toThrow('is not within one entry');
  await expect(report(file, { redact: ['/failure/message/x'] })).rejects.toThrow(/nothing|no .* in the evidence/);
  printed = '';
  expect(await report(file, { redact: ['/gates/0/decisionsLeftOut', '/plan'] })).toBe(1);
  const redacted = join(directory, 'redacted.json');
  await writeFile(redacted, printed);
  expect(printed).not.toContain('abcdef0123456789');
  expect(await verify(redacted, { head })).toBe(0);
});
