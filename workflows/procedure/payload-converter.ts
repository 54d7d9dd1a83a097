import { DefaultPayloadConverter, encodingTypes, METADATA_ENCODING_KEY, type Payload } from '@temporalio/common';
import type { Unreadable } from '../../contracts/unreadable.ts';
import { firstOf, wellFormed } from '../../contracts/whole-characters.ts';

/** Of an encoding that nobody knows, so many characters are told. */
const TOLD = 50;

/** Nothing of ours is nested so deep. Without a bound, how much of the stack is left would decide, in a replay otherwise than before. */
const DEEPEST = 200;

/**
 * The default converter, but for what it cannot decode, or decodes to bytes or to something deeply nested, which no message of
 * ours holds: that comes as {@link Unreadable}. And no text comes with half a character, which anybody can send as `"\\ud83d"`: in a text below 40
 * characters, protobuf.js writes it as what is no UTF-8, and the worker that answers with such a text ends, and the next one too.
 */
class ForgivingPayloadConverter extends DefaultPayloadConverter {
  override fromPayload<T>(...given: Parameters<DefaultPayloadConverter['fromPayload']>): T {
    try {
      const value: unknown = super.fromPayload(...given);
      if (isDeeper(value, DEEPEST)) return { unreadable: `it is nested more than ${DEEPEST} levels deep` } satisfies Unreadable as T;
      if (!(value instanceof Uint8Array)) return wellFormed(value) as T;
    } catch {
      // What it says may quote the payload, and that may be a secret.
    }
    return { unreadable: reasonOf(given[0]) } satisfies Unreadable as T;
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

function reasonOf({ metadata }: Payload): string {
  const encoding = metadata?.[METADATA_ENCODING_KEY];
  if (!encoding) return 'it names no encoding';
  const name = new TextDecoder().decode(encoding);
  return name === encodingTypes.METADATA_ENCODING_JSON ? 'it is no JSON' : `its encoding is ${JSON.stringify(firstOf(name, TOLD))}`;
}

/** Under this name the SDK looks for it: bundles of our workflows are made with the path of this file. */
export const payloadConverter = new ForgivingPayloadConverter();
