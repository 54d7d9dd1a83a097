import type { z } from 'zod';
import type { StartedBy } from './evidence.ts';
import type { GatePolicy } from './gate.ts';
import type { People } from './people.ts';
import type { Priority } from './priority.ts';
import type { SearchAttributeName } from './search-attributes.ts';

/** What callers rely on about one runbook: its workflow type, its input, and how it shares a target. */
export interface RunbookContract<Input extends z.ZodType = z.ZodType> {
  /** Workflow type, in kebab-case. */
  readonly type: string;
  /** One line for lists and help texts. */
  readonly title: string;
  readonly input: Input;
  /** The field of the input that names the target; the configuration's only target is taken when it is absent. */
  readonly targetField: string;
  /** Types that may run on the same target at the same time. It holds in both directions. */
  readonly sharesTargetWith: readonly string[];
  /** Left out: `normal`. */
  readonly priority?: Priority;
  /** Names of the gates that the runbook has, for which the configuration may hold a policy. */
  readonly gates: readonly string[];
}

/** Types the contract without widening it. */
export function defineRunbook<Input extends z.ZodType>(contract: RunbookContract<Input>): RunbookContract<Input> {
  return contract;
}

/** What the kernel asks the configuration when a run starts. */
export interface RunSettings {
  target: string;
  /** Host of the target's files, where the configuration names one. */
  host?: string;
  /** With each group replaced by who is in it. */
  gates: Record<string, GatePolicy>;
  /** Who is who. Older code has none, nor what follows. */
  people?: People;
  /** How long a failed step waits for an operator; absent: it does not. */
  failedStepsWaitMs?: number;
  /** Channels that are told of what waits for an operator, and of what was left behind. */
  alarm?: string[];
  /** How many seconds undoing a step took in the newest evidence of this runbook on this target. */
  lastUndone?: Record<string, number>;
  /** Search attributes that the server knows; the others are left out, since an unknown one would hang the run. */
  searchAttributes: SearchAttributeName[];
  lease: LeasePolicy;
  codeVersion: string;
  startedBy: StartedBy;
}

/** How long a guardian waits before it acts, from the configuration's `lease`; in milliseconds. */
export interface LeasePolicy {
  /** After this long the guardian ends the run, whatever it is doing. */
  maximumMs: number;
  /** How long the host of the drill may be silent before the guardian gives up on it. */
  hostLossMs: number;
}
