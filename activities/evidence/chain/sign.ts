import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import type { Signature } from '../../../contracts/chain.ts';

/** What is signed: the head, under a name of ours, so that the signature is worth nothing anywhere else. */
const messageOf = (head: string): Buffer => Buffer.from(`durable-runbooks/evidence/v1\n${head}`, 'utf8');

/** SHA-256 of a public key in its DER form. */
function fingerprintOf(key: KeyObject): string {
  return createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('hex');
}

/** What signs heads with a private Ed25519 key in PEM. @throws Error with a sentence for anything else; it quotes nothing of the key */
export function signer(pem: string): (head: string) => Signature {
  const key = ed25519Of('private', () => createPrivateKey(pem));
  const fingerprint = fingerprintOf(createPublicKey(key));
  return (head) => ({ algorithm: 'ed25519', key: fingerprint, value: sign(null, messageOf(head), key).toString('base64') });
}

/** Whether a signature of a head is that of this public key, in PEM. @throws Error with a sentence for what is no Ed25519 key */
export function isSignedBy(pem: string, head: string, { key: fingerprint, value }: Signature): boolean {
  // A private key would do too, and its owner should not be asked to hand it around.
  const key = ed25519Of('public', () => createPublicKey(pem));
  const bytes = Buffer.from(value, 'base64');
  // Nothing but the signature, written in the one way in which it is written: no byte of it can change unseen.
  return fingerprint === fingerprintOf(key) && bytes.toString('base64') === value && verify(null, messageOf(head), key, bytes);
}

function ed25519Of(kind: 'private' | 'public', read: () => KeyObject): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = read();
  } catch {
    // What the library says may name what is in it.
  }
  if (key?.asymmetricKeyType !== 'ed25519') throw new Error(`this is no ${kind} Ed25519 key in PEM; make a pair with: openssl genpkey -algorithm ed25519 -out KEY.pem && openssl pkey -in KEY.pem -pubout -out KEY.pub.pem`);
  return key;
}
