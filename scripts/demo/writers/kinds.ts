import { ddlKinds } from './ddl-kinds.ts';
import { orderKinds } from './order-kinds.ts';
import { transactionKinds } from './transaction-kinds.ts';
import type { WriterKind } from './writer-kind.ts';

/** Every kind by name; the names are what `WriterCounts` counts. */
export const writerKinds: Readonly<Record<string, WriterKind>> = { ...orderKinds, ...transactionKinds, ...ddlKinds };

/** The names of all kinds. */
export const writerKindNames: readonly string[] = Object.keys(writerKinds);
