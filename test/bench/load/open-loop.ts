import { Client, DatabaseError } from 'pg';
import type { ConnectionConfig } from '../../../scripts/demo/production.ts';
import type { WriterContext } from '../../../scripts/demo/writers/writer-kind.ts';
import { orderKinds } from '../../../scripts/demo/writers/order-kinds.ts';
import { mulberry32 } from '../../../scripts/demo/writers/pool.ts';

/** The same seed draws the same operations, though their order depends on the server. */
export interface LoadSettings { config: ConnectionConfig; connections: number; seed: number }

/** When an operation was due (epoch, ms) and how long after that it was done (ms). */
export type Operation = [dueAt: number, latencyMs: number];

/** The shop's ordinary day on a fixed set of connections. */
export interface Load {
  /** As many operations as the server takes; resolves with their number per second. */
  saturate: (seconds: number) => Promise<number>;
  /** Begins operations at random instants with this mean rate, whether earlier ones are done or not. */
  pace: (opsPerSecond: number) => void;
  /** Ends the pace and gives every operation since it began. */
  rest: () => Promise<Operation[]>;
  end: () => Promise<void>;
}

const now = (): number => performance.timeOrigin + performance.now();

/** Connects; the load begins with `saturate` or `pace`. */
export async function openLoad({ config, connections, seed }: LoadSettings): Promise<Load> {
  const random = mulberry32(seed);
  const kinds = Object.values(orderKinds);
  const weights = kinds.reduce((sum, { weight }) => sum + weight, 0);
  const clients = await Promise.all(Array.from({ length: connections }, async () => {
    const client = new Client({ ...config, application_name: 'bench load' });
    // Heard where it is ended between two operations: the next one says so again.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }));
  const operate = async (client: Client, writer: number): Promise<void> => {
    const context: WriterContext = { client, writer, session: 'bench', random, below: (limit) => Math.floor(random() * limit), wait: async () => undefined };
    let drawn = random() * weights;
    try {
      await (kinds.find(({ weight }) => (drawn -= weight) < 0) ?? kinds[0])?.act(context);
    } catch (error) {
      // Deadlocks and rows that another connection deleted belong to a busy day; the time they took counts.
      if (!(error instanceof DatabaseError) || !/^(40|23)/.test(error.code ?? '')) throw error;
      await client.query('ROLLBACK');
    }
  };

  const due: number[] = [];
  const done: Operation[] = [];
  const idle = clients.map((client, writer) => ({ client, writer }));
  const active = new Set<Promise<void>>();
  let arrivals: NodeJS.Timeout | undefined;
  let failure: Error | undefined;
  const dispatch = (): void => {
    while (due.length > 0 && idle.length > 0) {
      const [at, worker] = [due.shift() as number, idle.pop() as (typeof idle)[number]];
      const work: Promise<void> = operate(worker.client, worker.writer).then(() => void done.push([at, now() - at]), (error: unknown) => { failure ??= error instanceof Error ? error : new Error(String(error)); }).finally(() => {
        active.delete(work);
        idle.push(worker);
        dispatch();
      });
      active.add(work);
    }
  };
  return {
    async saturate(seconds) {
      const until = now() + seconds * 1000;
      let count = 0;
      await Promise.all(clients.map(async (client, writer) => {
        while (now() < until) { await operate(client, writer); count += 1; }
      }));
      return count / seconds;
    },
    pace(opsPerSecond) {
      let next = now();
      const arrive = (): void => {
        // Due times are drawn, not taken from the clock: a late timer makes an operation late, it does not forgive it.
        for (; next <= now(); next += (-Math.log(1 - random()) * 1000) / opsPerSecond) due.push(next);
        dispatch();
        arrivals = setTimeout(arrive, next - now());
      };
      arrive();
    },
    async rest() {
      clearTimeout(arrivals);
      while (active.size > 0) await Promise.all(active);
      if (failure) throw failure;
      return done.splice(0);
    },
    async end() {
      clearTimeout(arrivals);
      await Promise.all(clients.map((client) => client.end()));
    },
  };
}
