import { generateKeyPairSync } from 'node:crypto';
import { expect, it } from 'vitest';
import { isSignedBy, signer } from '../../activities/evidence/chain/sign.ts';

const pair = (type: 'ed25519') => generateKeyPairSync(type, { publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
const { publicKey, privateKey } = pair('ed25519');
const HEAD = 'a'.repeat(64);

it('a signature is of this head and this key, and of no other', () => {
  const signature = signer(privateKey)(HEAD);
  expect(isSignedBy(publicKey, HEAD, signature)).toBe(true);
  expect(isSignedBy(publicKey, 'b'.repeat(64), signature)).toBe(false);
  expect(isSignedBy(pair('ed25519').publicKey, HEAD, signature)).toBe(false);
  expect(isSignedBy(publicKey, HEAD, { ...signature, value: 'AAAA' })).toBe(false);
  expect(isSignedBy(publicKey, HEAD, { ...signature, value: 'no base64 !' })).toBe(false);
});

it('names the key by its public half, which whoever has it can compute', () => {
  expect(signer(privateKey)(HEAD).key).toMatch(/^[0-9a-f]{64}$/);
  expect(signer(privateKey)(HEAD).key).toBe(signer(privateKey)('b'.repeat(64)).key);
});

it.each([['nothing', ''], ['a public key', publicKey], ['another kind of key', generateKeyPairSync('x25519', { publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } }).privateKey], ['half a key', privateKey.slice(0, 60)]])('refuses to sign with %s, and quotes nothing of it', (_title, pem) => {
  expect(() => signer(pem)).toThrow('this is no private Ed25519 key in PEM');
});
