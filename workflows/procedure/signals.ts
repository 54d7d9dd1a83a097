import { defineSignal, patched, setDefaultSignalHandler, setHandler, type WorkflowInterceptorsFactory } from '@temporalio/workflow';

/** Handles a signal at once: nothing of it is awaited, so that nothing that is to be awaited is taken for one. */
export type SignalHandler = (payload: unknown) => undefined;

/** The handlers of one workflow, as the interceptor below finds them. */
interface Handlers { byName: Map<string, SignalHandler>; other?: ((name: string, payload: unknown) => undefined) | undefined }

/** Where they are: modules are shared by all workflows, and globals are of each of them. */
const HANDLERS = Symbol.for('durable-runbooks: handlers of signals');

function handlersOfThisWorkflow(): Handlers {
  const global = globalThis as { [HANDLERS]?: Handlers };
  return (global[HANDLERS] ??= { byName: new Map() });
}

/** Handles signals of this name, those that wait for it first. */
export function onSignal(name: string, handle: SignalHandler, description: string): void {
  // Known before the SDK gives it those that wait.
  handlersOfThisWorkflow().byName.set(name, handle);
  setHandler(defineSignal<[unknown?]>(name), handle, { description });
}

/** Handles signals of every name that has no handler of its own, those that wait for it first; undefined: no more of them. */
export function onOtherSignals(handle: Handlers['other']): void {
  handlersOfThisWorkflow().other = handle;
  setDefaultSignalHandler(handle);
}

/** A signal that came before an execution began. */
interface WaitingSignal { name: string; payload: unknown }

/** Takes all signals that wait, in the order in which they came: of those the SDK gives each handler its own, one handler after the other. Whoever takes them hands them on. */
export function takeWaitingSignals(): WaitingSignal[] {
  const waiting: WaitingSignal[] = [];
  for (let isHeard = false; !isHeard;) {
    try {
      onOtherSignals((name, payload) => void waiting.push({ name, payload }));
      isHeard = true;
    } catch (error) {
      // A name that Temporal keeps for itself, which anybody can send, is refused by throwing. It waits no more: on to what came behind it.
      if (!(error instanceof TypeError)) throw error;
    }
  }
  // What comes from now on comes in order, and such a name would fail the task for ever where there is a handler for all.
  onOtherSignals(undefined);
  return waiting;
}

/** What handles a signal, and what people read of it. */
export interface SignalHandling { handle: SignalHandler; description: string }

/**
 * Hears those of these signals that wait, in the order in which they came: of a pause and a resume, what was said last holds.
 * Returns what registers the handler of a name. A run of older code heard its signals then, all of one name before those of the next.
 */
export function hearInOrder<Name extends string>(handlings: Readonly<Record<Name, SignalHandling>>): (name: Name) => void {
  const waiting = takeWaitingSignals().filter((signal): signal is WaitingSignal & { name: Name } => Object.hasOwn(handlings, signal.name));
  const isInOrder = waiting.length > 0 && patched('hears what waits for a run in the order in which it came');
  const hear = (signals: typeof waiting) => { for (const { name, payload } of signals) handlings[name].handle(payload); };
  if (isInOrder) hear(waiting);
  return (name) => {
    if (!isInOrder) hear(waiting.filter((signal) => signal.name === name));
    onSignal(name, handlings[name].handle, handlings[name].description);
  };
}

/** In place of the promise of a handler that has ended. */
const HANDLED: Promise<void> = {
  then: (then) => Promise.resolve().then(then),
  catch: () => HANDLED,
  finally: (then) => {
    then?.();
    return HANDLED;
  },
  [Symbol.toStringTag]: 'Promise',
};

/** Queries of Temporal's own. Anybody can send their names as signals, past every interceptor, to what listens to all names. */
const RESERVED = /^__(?:enhanced_)?stack_trace$/;

/**
 * Calls the handlers of signals right here. Where nobody intercepts, the SDK makes eight promises of each signal, and for
 * each promise a stack trace with the lines of its sources: a millisecond or more of the only thread that workflows have.
 * Anybody can send ten thousand signals, and all that came while no worker was up come in one task. The SDK ends what runs
 * for too long, and where that is in a promise, Node ends the process: that of all runs of this worker.
 */
export const interceptors: WorkflowInterceptorsFactory = () => ({
  internals: [{
    activate(input, next) {
      const { jobs } = input.activation;
      const meant = jobs?.filter(({ signalWorkflow }) => !RESERVED.test(signalWorkflow?.signalName ?? ''));
      next(meant?.length === jobs?.length ? input : { ...input, activation: { ...input.activation, jobs: meant ?? [] } as typeof input.activation });
    },
  }],
  inbound: [{
    handleSignal(input, next) {
      const { byName, other } = handlersOfThisWorkflow();
      const handle = byName.get(input.signalName);
      if (!handle && !other) return next(input);
      try {
        if (handle) handle(input.args[0]);
        else other?.(input.signalName, input.args[0]);
        return HANDLED;
      } catch (error) {
        // As from a handler that the SDK calls: it fails the task, or the run.
        return Promise.reject(error as Error);
      }
    },
  }],
});
