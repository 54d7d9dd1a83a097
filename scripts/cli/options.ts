import type { TemporalFlags } from '../../workers/temporal-connection.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  json?: boolean;
  config?: string;
  /** Temporal's own flag: `jsonl` is JSON too, one object on each line. */
  output?: string;
}

/** An environment that `temporal env set` keeps, by its name, and in which file. */
export interface NamedEnvironment { env?: string | undefined; envFile?: string | undefined }

/** Options of commands that talk to Temporal. */
export interface TemporalOptions extends GlobalOptions, NamedEnvironment, Omit<TemporalFlags, 'own'> {}
