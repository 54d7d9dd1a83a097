import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';

/**
 * What an event's signal, activity or workflow was given, first or at another index; undefined where it was given nothing.
 * Anybody can send anything: what cannot be decoded is as nothing.
 */
export function argument(input: temporal.api.common.v1.IPayloads | null | undefined, index = 0): unknown {
  const payload = input?.payloads?.[index];
  try {
    return payload ? defaultPayloadConverter.fromPayload(payload) : undefined;
  } catch {
    return undefined;
  }
}
