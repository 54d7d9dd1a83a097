import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { DEEPEST, isDeeper } from '../../contracts/json-size.ts';
import { wellFormed } from '../../contracts/whole-characters.ts';

/**
 * What an event's signal, activity or workflow was given, first or at another index; undefined where it was given nothing.
 * Anybody can send anything: what workflows cannot take is as nothing, and no text has half a character, as they get it.
 */
export function argument(input: temporal.api.common.v1.IPayloads | null | undefined, index = 0): unknown {
  const payload = input?.payloads?.[index];
  if (!payload || (payload.data && isDeeper(payload.data, DEEPEST))) return undefined;
  try {
    const value: unknown = defaultPayloadConverter.fromPayload(payload);
    return value instanceof Uint8Array ? undefined : wellFormed(value);
  } catch {
    return undefined;
  }
}
