import { Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor, type ConnectionOptions } from '@temporalio/client';

type Interceptor = NonNullable<ConnectionOptions['interceptors']>[number];
type Call = ReturnType<Interceptor>;

/** gRPC CANCELLED, which is not tried again. */
const CANCELLED = 1;

/**
 * Connects to Temporal as `Connection.connect` does; a call that is still under way when the connection is closed ends as cancelled.
 *
 * The SDK tries calls again from a timer. On a connection that was closed meanwhile gRPC throws there ("Channel has been
 * shut down"), where nobody can catch it: the process ends, and whoever awaits the call waits for ever.
 */
export async function connectClient(options: ConnectionOptions): Promise<Connection> {
  return Connection.connect({ ...options, interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), endWithConnection] });
}

/** Comes after the interceptor that tries again: what throws here throws in its timer. */
const endWithConnection: Interceptor = (options, nextCall) => {
  try {
    return nextCall(options) as Call;
  } catch (error) {
    return cancelledCall(error as Error);
  }
};

function cancelledCall({ message }: Error): Call {
  const call: Pick<Call, 'start' | 'sendMessage' | 'sendMessageWithContext' | 'halfClose' | 'startRead' | 'cancelWithStatus' | 'getPeer' | 'getAuthContext'> = {
    start(sent, listener) {
      // An empty one: what was sent may hold a key.
      const metadata = new (sent.constructor as new () => typeof sent)();
      queueMicrotask(() => {
        listener?.onReceiveMessage?.(null);
        listener?.onReceiveStatus?.({ code: CANCELLED, details: `the connection was closed while the call was under way (${message})`, metadata });
      });
    },
    sendMessage: () => undefined,
    sendMessageWithContext: () => undefined,
    halfClose: () => undefined,
    startRead: () => undefined,
    cancelWithStatus: () => undefined,
    getPeer: () => 'closed',
    getAuthContext: () => null,
  };
  return call as Call;
}
