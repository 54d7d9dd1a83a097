import { createHash } from 'node:crypto';
import { shortHash } from '../../contracts/deciding.ts';

/**
 * What a receiver knows a message by: the same at each attempt, and another for each channel. As it can stand in a header, and
 * without the dot that divides what a webhook signs.
 */
export function messageId(noticeId: string, channel: string): string {
  const id = `${noticeId}-${channel}`;
  return /^[\w-]{1,200}$/.test(id) ? id : sha256(JSON.stringify([noticeId, channel]));
}

/** The same for people, who compare two messages by it. */
export function shortMessageId(id: string): string {
  return shortHash(sha256(id));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
