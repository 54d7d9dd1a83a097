import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import { certificateAuthority } from './certificates.ts';

/** The door to a server that lets in only who shows a certificate, as Temporal's own servers do with mTLS. */
export interface MutualTls {
  address: string;
  /** What its certificate says that it is called, which is no name of this host. */
  serverName: string;
  /** In PEM: who signed its certificate, and whose signature it asks of others; a client that it lets in; and one that it does not know. */
  authority: string;
  client: { certificate: string; key: string };
  stranger: { certificate: string; key: string };
  /** Whom it let in, by the names in their certificates. */
  letIn: string[];
  stop(): Promise<void>;
}

/** Opens one in front of a server that speaks without TLS. */
export async function openMutualTls(target: string, clientName: string): Promise<MutualTls> {
  const serverName = 'temporal.internal';
  const authority = certificateAuthority('the operators');
  const { certificate: cert, key } = authority.certify(serverName);
  const [host = '', port = ''] = target.split(':');
  const letIn: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ cert, key, ca: authority.certificate, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] }, (socket) => {
    letIn.push(String(socket.getPeerCertificate().subject.CN));
    const onward = connect(Number(port), host);
    for (const [one, other] of [[socket, onward], [onward, socket]] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => { sockets.delete(one); other.destroy(); });
      one.pipe(other);
    }
  });
  // Who is not let in is told so by TLS itself.
  server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`, serverName, letIn,
    authority: authority.certificate, client: authority.certify(clientName), stranger: certificateAuthority('others').certify(clientName),
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
