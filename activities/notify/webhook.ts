import { createHash, createHmac } from 'node:crypto';
import { canonicalJson } from '../../contracts/canonical.ts';
import type { Message } from './message.ts';

/**
 * A message as the Standard Webhooks specification (https://www.standardwebhooks.com) has it. `webhook-id` is the same at each
 * attempt, and another for each channel: what comes twice with it is a repetition.
 *
 * @param sentAtMs when this attempt is made, in milliseconds since 1970
 */
export function webhookRequest({ notice, link, commands }: Message, { channel, key, sentAtMs }: { channel: string; key: Buffer; sentAtMs: number }): { headers: Record<string, string>; body: string } {
  const body = canonicalJson({ ...notice, link, commands });
  const id = messageId(notice.id, channel);
  const timestamp = String(Math.floor(sentAtMs / 1_000));
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }, body };
}

/** As it can stand in a header, and without the dot that divides what is signed. */
function messageId(noticeId: string, channel: string): string {
  const id = `${noticeId}-${channel}`;
  return /^[\w-]{1,200}$/.test(id) ? id : createHash('sha256').update(JSON.stringify([noticeId, channel])).digest('hex');
}
