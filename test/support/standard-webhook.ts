import { webcrypto } from 'node:crypto';

/** A message as its receiver has it. */
interface Signed { headers: Readonly<Record<string, unknown>>; body: string }

/** Whether a message is signed with this secret, as a receiver finds out that knows the Standard Webhooks specification and none of our code. */
export async function isSigned({ headers, body }: Signed, secret: string): Promise<boolean> {
  const raw = Uint8Array.from(atob(secret.slice('whsec_'.length)), (character) => character.charCodeAt(0));
  const key = await webcrypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  const content = new TextEncoder().encode([headers['webhook-id'], headers['webhook-timestamp'], body].map(String).join('.'));
  for (const entry of String(headers['webhook-signature']).split(' ')) {
    const [version, signature = ''] = entry.split(',');
    if (version === 'v1' && await webcrypto.subtle.verify('HMAC', key, Uint8Array.from(atob(signature), (character) => character.charCodeAt(0)), content)) return true;
  }
  return false;
}
