import { createHmac } from 'node:crypto';
import { canonicalJson } from '../../contracts/canonical.ts';
import type { Message } from './message.ts';

/**
 * A message as the Standard Webhooks specification (https://www.standardwebhooks.com) has it. What comes twice with one
 * `webhook-id` is a repetition.
 *
 * @param id as `messageId` makes it
 * @param sentAtMs when this attempt is made, in milliseconds since 1970
 */
export function webhookRequest({ notice, link, commands }: Message, { id, key, sentAtMs }: { id: string; key: Buffer; sentAtMs: number }): { headers: Record<string, string>; body: string } {
  const body = canonicalJson({ ...notice, link, commands });
  const timestamp = String(Math.floor(sentAtMs / 1_000));
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }, body };
}
