import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/** A certificate and its key, in PEM. */
export interface Certified { certificate: string; key: string }

/** Signs certificates that are good for an hour. */
export interface CertificateAuthority {
  certificate: string;
  /** For a server of this name, and for a client that is called so. */
  certify(name: string): Certified;
}

/** A new authority, which nobody trusts who was not told its certificate. */
export function certificateAuthority(name: string): CertificateAuthority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isAuthority = extension('551d13', true, sequence(boolean(true)));
  return {
    certificate: certificateOf({ subject: name, publicKey: own.publicKey, issuer: name, issuerKey: own.privateKey, extensions: [isAuthority] }),
    certify(subject) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const isCalled = extension('551d11', false, sequence(tagged(0x82, Buffer.from(subject))));
      return {
        certificate: certificateOf({ subject, publicKey, issuer: name, issuerKey: own.privateKey, extensions: [isCalled] }),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      };
    },
  };
}

/** X.509, RFC 5280: Node reads certificates and writes none. */
function certificateOf({ subject, publicKey, issuer, issuerKey, extensions }: { subject: string; publicKey: KeyObject; issuer: string; issuerKey: KeyObject; extensions: Buffer[] }): string {
  const algorithm = sequence(identifier('2a8648ce3d040302'));
  const named = (name: string) => sequence(tagged(0x31, sequence(identifier('550403'), tagged(0x0c, Buffer.from(name)))));
  const instant = (ms: number) => tagged(0x17, Buffer.from(new Date(ms).toISOString().replaceAll(/^..|[-T:]|\.\d+/g, '')));
  const content = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))), tagged(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])), algorithm, named(issuer),
    sequence(instant(Date.now() - 3_600_000), instant(Date.now() + 3_600_000)), named(subject),
    publicKey.export({ type: 'spki', format: 'der' }), tagged(0xa3, sequence(...extensions)),
  );
  const signature = tagged(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', content, issuerKey)]));
  const der = sequence(content, algorithm, signature);
  return ['-----BEGIN CERTIFICATE-----', ...der.toString('base64').match(/.{1,64}/g) ?? [], '-----END CERTIFICATE-----', ''].join('\n');
}

const extension = (id: string, isCritical: boolean, content: Buffer) => sequence(identifier(id), ...(isCritical ? [boolean(true)] : []), tagged(0x04, content));
const identifier = (hex: string) => tagged(0x06, Buffer.from(hex, 'hex'));
const boolean = (is: boolean) => tagged(0x01, Buffer.from([is ? 255 : 0]));
const sequence = (...parts: Buffer[]) => tagged(0x30, Buffer.concat(parts));

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
