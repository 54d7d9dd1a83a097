import { z } from 'zod';

/** SHA-256 in lower-case hexadecimal. */
export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * Kinds of entries, in the order in which they are told apart. `header`: what the run was asked for; `close`: how it ended;
 * the others are one element of a list of the evidence, or one of its parts, each.
 */
export const ENTRY_KINDS = ['header', 'plan', 'step', 'gate', 'decision', 'operation', 'check', 'measurement', 'compensation', 'teardown', 'close'] as const;
/** One of {@link ENTRY_KINDS}. */
export type EntryKind = (typeof ENTRY_KINDS)[number];

/** A link of the chain. Entries stand in the order in which they are hashed: another order gives another head. */
export const chainEntrySchema = z.strictObject({
  kind: z.enum(ENTRY_KINDS),
  /** What of the evidence it is for, as a JSON pointer (RFC 6901); that of `header` and `close` is empty. */
  of: z.string().max(100),
  /** Digest of that part alone, wherever it stands. */
  digest: sha256Schema,
  /** Hash of this entry and of the hash before it. */
  hash: sha256Schema,
});
/** As read from evidence: its form is known, and not yet whether its hashes are right. */
export type ChainEntry = z.output<typeof chainEntrySchema>;

/**
 * What makes the digest of a field unguessable, so that one can be redacted: `seed` gives each field its salt; evidence from
 * which something was redacted has the salts of the other fields instead, by entry and field.
 */
export const saltsSchema = z.union([z.strictObject({ seed: z.string().min(32) }), z.strictObject({ fields: z.record(z.string(), sha256Schema) })]);
/** Either the seed, of evidence that is whole, or what is left of its salts, of evidence that was redacted. */
export type Salts = z.output<typeof saltsSchema>;

/** Made over the head, so over all of the evidence; that the key is the worker's is for whoever verifies to know from elsewhere. */
export const signatureSchema = z.strictObject({
  algorithm: z.literal('ed25519'),
  /** SHA-256 of the public key in its DER form: which key it was. */
  key: sha256Schema,
  /** Of the head, in base64. */
  value: z.string(),
});
/** Null in a seal where the worker has no key. */
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
/** As read from evidence: whether it fits the rest of it is for whoever verifies to find out. */
export type Seal = z.output<typeof sealSchema>;

/** What takes the place of a field that was redacted: its digest, so that everything else can still be verified. */
export const REDACTED = '$redacted';
