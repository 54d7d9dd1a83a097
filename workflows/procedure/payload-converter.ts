import { DefaultPayloadConverter, encodingTypes, METADATA_ENCODING_KEY, type Payload } from '@temporalio/common';
import { DEEPEST, isDeeper } from '../../contracts/json-size.ts';
import type { Unreadable } from '../../contracts/unreadable.ts';
import { firstOf, wellFormed } from '../../contracts/whole-characters.ts';

/** Of an encoding that nobody knows, so many characters are told. */
const TOLD = 50;

/** What may be half a character, as JSON can hold it: of the bytes themselves, decoding leaves none. */
const ESCAPED_HALF = /\\u[dD][89a-fA-F]/;

/**
 * The default converter, but for what it cannot decode, or decodes to bytes or to something deeply nested, which no message of
 * ours holds: that comes as {@link Unreadable}. And no text comes with half a character, which anybody can send as `"\ud83d"`: in a text below 40
 * characters, protobuf.js writes it as what is no UTF-8, and the worker that answers with such a text ends, and the next one too.
 */
class ForgivingPayloadConverter extends DefaultPayloadConverter {
  override fromPayload<T>(...given: Parameters<DefaultPayloadConverter['fromPayload']>): T {
    try {
      const { data } = given[0];
      // Of bytes that are no JSON, what they look like says nothing; decoding refuses them.
      if (data && isDeeper(data, DEEPEST)) return { unreadable: `it is nested more than ${DEEPEST} levels deep` } satisfies Unreadable as T;
      const value: unknown = super.fromPayload(...given);
      // Anybody can send megabytes, and many of them are decoded in one task: nearly none has such a character.
      if (!(value instanceof Uint8Array)) return (data && ESCAPED_HALF.test(new TextDecoder().decode(data)) ? wellFormed(value) : value) as T;
    } catch {
      // What it says may quote the payload, and that may be a secret.
    }
    return { unreadable: reasonOf(given[0]) } satisfies Unreadable as T;
  }
}

function reasonOf({ metadata }: Payload): string {
  const encoding = metadata?.[METADATA_ENCODING_KEY];
  if (!encoding) return 'it names no encoding';
  const name = new TextDecoder().decode(encoding);
  return name === encodingTypes.METADATA_ENCODING_JSON ? 'it is no JSON' : `its encoding is ${JSON.stringify(firstOf(name, TOLD))}`;
}

/** Under this name the SDK looks for it: bundles of our workflows are made with the path of this file. */
export const payloadConverter = new ForgivingPayloadConverter();
