import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { STEP_HEADER, type StepHeader, type UndoEntry } from '../../contracts/ledger.ts';

/** The step that an activity was scheduled for, and what undoes it; undefined for one outside of all steps. */
export function stepOf({ activityTaskScheduledEventAttributes: scheduled, userMetadata }: temporal.api.history.v1.IHistoryEvent): { step: string; undo?: UndoEntry } | undefined {
  const payload = scheduled?.header?.fields?.[STEP_HEADER];
  if (!payload) return undefined;
  const header = payload.data?.length ? defaultPayloadConverter.fromPayload<StepHeader>(payload) : {};
  const summary = userMetadata?.summary ? defaultPayloadConverter.fromPayload<string>(userMetadata.summary) : '';
  return { ...header, step: header.step ?? summary };
}
