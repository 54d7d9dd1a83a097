import type { Client } from 'pg';

/** What a kind of change works with. */
export interface WriterContext {
  client: Client;
  /** Which writer this is, from 0: rows and names that only one writer touches carry it. */
  writer: number;
  /** Which process of writers this is: names that outlive a connection carry it. */
  session: string;
  /** Pseudo-random, in [0,1). */
  random: () => number;
  /** Whole number from 0 to before the limit. */
  below: (limit: number) => number;
  wait: (ms: number) => Promise<void>;
}

/** One way of changing the database; begins and ends its own transactions. */
export interface WriterKind {
  /** How often it is drawn, relative to the others. */
  weight: number;
  act: (context: WriterContext) => Promise<void>;
}
