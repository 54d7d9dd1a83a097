import { ApplicationFailure } from '@temporalio/common';
import type { ChannelSettings } from '../../contracts/notification.ts';

/** Where a secret is: in a file, or in an environment variable of the worker; one of them is named. */
export interface SecretSource { file?: string | undefined; env?: string | undefined }

/** Reads a secret. What it throws says why it could not; nothing of that is passed on but the system's code. */
export type ResolveSecret = (source: SecretSource) => Promise<string>;

/** What it takes to reach a channel. Secret: neither may get into a message, a log or history. */
export interface ChannelAccess {
  address: URL;
  /** Key that signs messages; null for a channel that takes none. */
  key: Buffer | null;
}

/** The least that the Standard Webhooks specification takes. */
const KEY_BYTES = 24;

/**
 * Reads address and key of a channel, anew each time: what is replaced there counts from the next message on.
 *
 * @throws ApplicationFailure `CONFIGURATION`, to be tried again, with what is wrong and, after the last `; `, what to do.
 *   It names settings and not what they hold: somebody may have put the address itself where its file is to be named.
 */
export async function channelAccess(name: string, settings: ChannelSettings, resolveSecret: ResolveSecret): Promise<ChannelAccess> {
  const read = async (key: string, { file, env }: SecretSource, what: string) => {
    const setting = `notifications.channels.${name}.${key}${file === undefined ? 'Env' : 'File'}`;
    try {
      return { setting, text: (await resolveSecret({ file, env })).trim() };
    } catch (error) {
      const code = (error as { cause?: { code?: unknown } }).cause?.code;
      throw mistake(file === undefined
        ? `${setting} names a variable that is not set; set it to ${what}, for the worker`
        : `${setting} names a file that cannot be read, or is empty${typeof code === 'string' ? ` (${code})` : ''}; put ${what} there, readable by the worker's user only`);
    }
  };
  const { setting, text } = await read('url', { file: settings.urlFile, env: settings.urlEnv }, 'the address');
  const address = addressOf(text, setting);
  if (settings.kind === 'slack') return { address, key: null };
  const secret = await read('secret', { file: settings.secretFile, env: settings.secretEnv }, 'the secret that signs messages');
  return { address, key: keyOf(secret.text, secret.setting) };
}

function addressOf(text: string, setting: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) throw mistake(`${setting} holds no address; put one there that begins with https://`);
  // fetch refuses these, in an error that repeats them.
  if (url.username !== '' || url.password !== '') throw mistake(`${setting} holds an address with a user or password; leave them out`);
  return url;
}

function keyOf(text: string, setting: string): Buffer {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  const key = Buffer.from(base64 ?? '', 'base64');
  if (key.length < KEY_BYTES) throw mistake(`${setting} holds no secret that can sign; put "whsec_" and the base64 of ${KEY_BYTES} random bytes or more there`);
  return key;
}

/** Tried again for as long as the message is worth delivering: once a person has corrected it, it arrives. */
export function mistake(message: string): ApplicationFailure {
  return ApplicationFailure.create({ message, type: 'CONFIGURATION', nonRetryable: false });
}
