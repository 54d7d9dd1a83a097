import { z } from 'zod';

/** A bucket's name, and below it names of folders. What else stands there, as a key and its secret before an `@`, is no address. */
const OBJECT_STORE = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9._=+-]+)*\/?$/;
const ADDRESS = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//;

const objectStoreAddress = z.string().regex(OBJECT_STORE, 'is s3://bucket/prefix, with folders of letters, digits and ._=+- as prefix, or without one; nothing else is part of it');

/** A directory of this host. */
export const localDirectory = (otherwise: string) => z.string().refine((value) => !ADDRESS.test(value), `is a directory, and no address; ${otherwise}`);

const directorySchema = z.strictObject({ directory: localDirectory('an object store is written as s3: s3://bucket/prefix') });

const objectStoreSchema = z.strictObject({
  s3: objectStoreAddress,
  /** Where requests go, in place of AWS. */
  endpoint: z.url({ protocol: /^https?$/ }).refine((url) => { if (!URL.canParse(url)) return true; const { username, password } = new URL(url); return username === '' && password === ''; }, 'leave user and password out of the URL: credentials come from the environment or from a profile').optional(),
  /** Else the region of the environment or the profile. */
  region: z.string().regex(/^[a-z0-9-]+$/, 'is a name such as eu-central-1').optional(),
  /** The bucket in the path of requests, and not in the name of their host. */
  forcePathStyle: z.boolean().optional(),
});
/** Credentials are no part of it: they are those that the AWS SDK finds. */
export type ObjectStoreSettings = z.output<typeof objectStoreSchema>;

/** A place that evidence is copied to; an address alone is an object store. */
export const evidenceCopySchema = z.union([directorySchema, objectStoreSchema, objectStoreAddress.transform((s3): ObjectStoreSettings => ({ s3 }))]);
/** A directory or an object store, told apart by their fields: an address alone has become an object store. */
export type EvidenceCopy = z.output<typeof evidenceCopySchema>;
