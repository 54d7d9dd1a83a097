import { z } from 'zod';

/** SHA-256 in lower-case hexadecimal. */
export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * Kinds of entries, in the order in which they are told apart. `header`: what the run was asked for; `close`: how it ended;
 * the others are one element of a list of the evidence, or one of its parts, each.
 */
export const ENTRY_KINDS = ['header', 'plan', 'step', 'gate', 'decision', 'operation', 'check', 'measurement', 'compensation', 'teardown', 'close'] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

export const chainEntrySchema = z.strictObject({
  kind: z.enum(ENTRY_KINDS),
  /** What of the evidence it is for, as a JSON pointer (RFC 6901); that of `header` and `close` is empty. */
  of: z.string().max(100),
  /** Digest of that part alone, wherever it stands. */
  digest: sha256Schema,
  /** Hash of this entry and of the hash before it. */
  hash: sha256Schema,
});
export type ChainEntry = z.output<typeof chainEntrySchema>;

/**
 * What makes the digest of a field unguessable, so that one can be redacted: `seed` gives each field its salt; evidence from
 * which something was redacted has the salts of the other fields instead, by entry and field.
 */
export const saltsSchema = z.union([z.strictObject({ seed: z.string().min(32) }), z.strictObject({ fields: z.record(z.string(), sha256Schema) })]);
export type Salts = z.output<typeof saltsSchema>;

export const signatureSchema = z.strictObject({
  algorithm: z.literal('ed25519'),
  /** SHA-256 of the public key in its DER form: which key it was. */
  key: sha256Schema,
  /** Of the head, in base64. */
  value: z.string(),
});
export type Signature = z.output<typeof signatureSchema>;

/** How the chain is made; another way gets another name. */
export const CHAIN_METHOD = 'sha256-rfc8785-v1';

/** What closes evidence: the chain over all of its parts. */
export const sealSchema = z.strictObject({
  method: z.literal(CHAIN_METHOD),
  salts: saltsSchema,
  entries: z.array(chainEntrySchema),
  /** Hash of the last entry: whoever knows it from elsewhere knows all of the evidence. */
  head: sha256Schema,
  /** By the worker that wrote the evidence, where it has a key. */
  signature: signatureSchema.nullable(),
});
export type Seal = z.output<typeof sealSchema>;

/** What takes the place of a field that was redacted: its digest, so that everything else can still be verified. */
export const REDACTED = '$redacted';
