import { setTimeout as sleep } from 'node:timers/promises';
import type * as Sdk from '@aws-sdk/client-s3';
import type { ObjectStoreSettings } from '../../contracts/evidence-copies.ts';
import { explainObjectStore, ObjectStoreProblem } from './object-store-errors.ts';
import type { EvidenceStore, StoredName } from './store.ts';
import { within } from '../kernel/within.ts';

/** As long as one request may take with the SDK's own retries: less than what `copies.ts` gives a copy, so that its reason is told. */
const ANSWER_MS = 15_000;
/** Three tries to connect fit into that. */
const CONNECT_MS = 3_000;
/** How often a put is tried while others put the same name: S3 answers 409 then, and asks for another try. */
const TRIES_IN_CONFLICT = 6;

const NOT_HONOURED = 'its server does not honour If-None-Match, so it would overwrite evidence; take another server, or take it out of evidence.copies';

/** What is spoken with: the SDK's commands, and a client. */
interface Opened { sdk: typeof Sdk; client: Sdk.S3Client }

/**
 * A bucket, or what lies below a prefix in it. A text is put on the condition that its name is free, so it is whole or absent,
 * and never overwritten. Credentials, and what is not configured, come from where the AWS SDK looks for them. A put whose
 * answer was lost finds its own text there, and says that the name is taken.
 *
 * Throws one sentence that says what to change, without what the server or a program for credentials said.
 */
export function objectStore(settings: ObjectStoreSettings, { answerMs = ANSWER_MS }: { answerMs?: number } = {}): EvidenceStore {
  const location = settings.s3.replace(/\/$/, '');
  const [bucket = '', ...folders] = location.slice('s3://'.length).split('/');
  const keyOf = (name: string) => [...folders, name].join('/');
  let opened: Promise<Opened> | undefined;
  /** Whether its server keeps to the condition; not known before the first put. It stays what it was found to be. */
  let isHonoured: boolean | undefined;

  /** One request. What hangs is given up and ended. */
  async function ask<T>(send: (opened: Opened, abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    opened ??= open(settings).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    const asked = opened.then((ready) => send(ready, controller.signal)).catch((error: unknown) => { throw explainObjectStore(error, { bucket, ...settings }); });
    return within(answerMs, asked).finally(() => controller.abort());
  }

  const put = (name: string, text: string) => ask(async ({ sdk, client }, abortSignal) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key: keyOf(name), Body: text, ContentType: name.endsWith('.html') ? 'text/html; charset=utf-8' : 'application/json', IfNoneMatch: '*' }), { abortSignal });
        return true;
      } catch (error) {
        if (statusOf(error) === 412) return false;
        if (statusOf(error) !== 409 || attempt === TRIES_IN_CONFLICT) throw error;
        await sleep(50 * 2 ** attempt * (0.5 + Math.random()), undefined, { signal: abortSignal });
      }
    }
  });

  const get = (name: string) => ask(async ({ sdk, client }, abortSignal) => {
    try {
      const { Body } = await client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: keyOf(name) }), { abortSignal });
      return await Body?.transformToString('utf-8') ?? '';
    } catch (error) {
      if (error instanceof sdk.NoSuchKey) return undefined;
      throw error;
    }
  });

  return {
    location,
    locate: (name) => `${location}/${name}`,
    get,
    async putIfAbsent(name, text) {
      if (isHonoured) return put(name, text);
      if (isHonoured === false) throw new ObjectStoreProblem(NOT_HONOURED);
      // Servers that do not know the condition overwrite without a word. Its own text, put twice, shows that and harms nothing.
      if (await get(name) !== undefined) return false;
      const isOurs = await put(name, text);
      isHonoured = !await put(name, text) && await get(name) !== undefined;
      if (!isHonoured) throw new ObjectStoreProblem(NOT_HONOURED);
      return isOurs;
    },
    async list(folder) {
      const found: StoredName[] = [];
      const below = folder === undefined ? folders : [...folders, folder];
      const Prefix = below.map((one) => `${one}/`).join('');
      let ContinuationToken: string | undefined;
      do {
        const page = await ask(({ sdk, client }, abortSignal) => client.send(new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix, Delimiter: '/', ContinuationToken }), { abortSignal }));
        for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
          const base = Key.slice(Prefix.length);
          // Consoles keep an empty object for a folder itself.
          if (base !== '') found.push({ name: folder === undefined ? base : `${folder}/${base}`, bytes: Size, modifiedAtMs: LastModified?.getTime() ?? 0 });
        }
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined);
      return found;
    },
  };
}

/** The SDK is loaded here, by whoever has an object store and not before it is asked: a worker's start must not wait for it. */
async function open({ endpoint, region, forcePathStyle }: ObjectStoreSettings): Promise<Opened> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3Client({
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(forcePathStyle === undefined ? {} : { forcePathStyle }),
    requestHandler: { connectionTimeout: CONNECT_MS },
  });
  // The SDK's own error for it has neither name nor code.
  await client.config.region().catch(() => { throw new ObjectStoreProblem('no region is set for it; set region in evidence.copies, or AWS_REGION'); });
  return { sdk, client };
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}
