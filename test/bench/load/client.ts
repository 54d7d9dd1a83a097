import { fork } from 'node:child_process';
import { built } from '../stage/run.ts';
import type { Load, LoadSettings } from './open-loop.ts';
import type { Answer, Order } from './process.ts';

/** A load in a process of its own. */
export async function startLoad(settings: LoadSettings): Promise<{ [K in keyof Load]: (...args: Parameters<Load[K]>) => Promise<Awaited<ReturnType<Load[K]>>> }> {
  const child = fork(built('test/bench/load/process.js'), [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] });
  const ended = new Promise<never>((_, reject) => child.once('exit', (code) => reject(new Error(`the load's process ended with ${code}`))));
  ended.catch(() => undefined);
  const ask = async (order: Order): Promise<Answer> => {
    const answered = new Promise<Answer>((resolve) => child.once('message', (answer: Answer) => resolve(answer)));
    child.send(order);
    const answer = await Promise.race([answered, ended]);
    if (answer.failed !== undefined) throw new Error(`the load failed: ${answer.failed}`);
    return answer;
  };
  const close = () => { if (child.connected) child.disconnect(); };
  try {
    await ask({ order: 'open', settings });
  } catch (error) {
    close();
    throw error;
  }
  return {
    saturate: async (seconds) => (await ask({ order: 'saturate', seconds })).rate ?? 0,
    pace: async (opsPerSecond) => void (await ask({ order: 'pace', opsPerSecond })),
    rest: async () => (await ask({ order: 'rest' })).operations ?? [],
    end: async () => { await ask({ order: 'end' }).finally(close); },
  };
}
