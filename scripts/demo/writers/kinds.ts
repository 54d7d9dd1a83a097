import type { Client } from 'pg';
import { ddlKinds } from './ddl-kinds.ts';
import { orderKinds } from './order-kinds.ts';
import { transactionKinds } from './transaction-kinds.ts';

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

/** Every kind by name; the names are what `WriterCounts` counts. */
export const writerKinds: Readonly<Record<string, WriterKind>> = { ...orderKinds, ...transactionKinds, ...ddlKinds };

/** The names of all kinds. */
export const writerKindNames: readonly string[] = Object.keys(writerKinds);
