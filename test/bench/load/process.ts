/** The load's own process, so that it and the manifest do not wait for each other's event loop. Ends with its parent. */
import { openLoad, type Load, type LoadSettings, type Operation } from './open-loop.ts';

/** What the bench tells the load over IPC; each order is answered before the next one is given. */
export type Order = { order: 'open'; settings: LoadSettings } | { order: 'saturate'; seconds: number } | { order: 'pace'; opsPerSecond: number } | { order: 'rest' } | { order: 'end' };
/** What an order came to: a rate in operations a second, or the operations; empty where there is nothing to say. */
export type Answer = { rate?: number; operations?: Operation[]; failed?: string };

let load: Load | undefined;

process.on('SIGINT', () => {}); // Ctrl-C reaches the whole group; the parent decides.
process.on('disconnect', () => process.exit());
process.on('message', (order: Order) => {
  obey(order).then((answer) => process.send?.(answer), (error: unknown) => process.send?.({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) } satisfies Answer));
});

async function obey(order: Order): Promise<Answer> {
  switch (order.order) {
    case 'open': load = await openLoad(order.settings); return {};
    case 'saturate': return { rate: (await load?.saturate(order.seconds)) ?? 0 };
    case 'pace': load?.pace(order.opsPerSecond); return {};
    case 'rest': return { operations: (await load?.rest()) ?? [] };
    case 'end': await load?.end(); return {};
  }
}
