import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';

/** The first of what an event's signal, or activity, was given; undefined where it was given nothing. */
export function firstArgument(input: temporal.api.common.v1.IPayloads | null | undefined): unknown {
  const [payload] = input?.payloads ?? [];
  return payload ? defaultPayloadConverter.fromPayload(payload) : undefined;
}
