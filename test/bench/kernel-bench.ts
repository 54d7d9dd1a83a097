import type { KernelArguments } from './arguments.ts';
import { gateMemory } from './kernel/gate-memory.ts';
import { openStage } from './kernel/stage.ts';
import { steps } from './kernel/steps.ts';
import type { OpenBench } from './open-bench.ts';

/** What the kernel costs on top of the SDK. */
export async function openKernelBench(settings: KernelArguments, log: (line: string) => void): Promise<OpenBench> {
  const stage = await openStage({ log });
  return {
    title: `kernel, ${settings.runs} runs at a gate, ${settings.repetitions} ${settings.repetitions === 1 ? 'repetition' : 'repetitions, medians [least to most]'}`,
    groups: [steps, gateMemory].map(({ names, measure }) => ({ names, measure: () => measure({ stage, settings }) })),
    stop: () => stage.stop(),
  };
}
