/** The writers' own process, started by `startWriters`: told its settings, asked to stop, and gone when its parent is. */
import { startWriterPool, type WriterPool, type WriterSettings } from './pool.ts';

type Order = { order: 'start'; settings: WriterSettings } | { order: 'stop' };

const reportEveryMs = 200;
let pool: WriterPool | undefined;

const send = (message: object) => {
  if (process.connected) process.send?.(message);
};
const fail = (error: unknown) => {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  const message = (error instanceof Error ? error.message : String(error)) + cause;
  console.error(error);
  send({ failed: message, counts: pool?.counts() });
  process.disconnect?.();
  process.exitCode = 1;
};

process.on('SIGINT', () => {}); // Ctrl-C reaches the whole group; the parent decides when writing ends.
process.on('disconnect', () => {
  // The parent is gone or has let go: end transactions properly if that is quick.
  void pool?.stop().catch(() => {});
  setTimeout(() => process.exit(), 3000).unref();
});
process.on('message', (message: Order) => {
  void (async () => {
    if (message.order === 'start') {
      pool = await startWriterPool(message.settings);
      send({ started: true });
      const timer = setInterval(() => send({ counts: pool?.counts() }), reportEveryMs);
      pool.ended.catch(fail).finally(() => clearInterval(timer));
    } else {
      const counts = await pool?.stop();
      send({ stopped: true, counts });
      process.disconnect?.();
    }
  })().catch(fail);
});
