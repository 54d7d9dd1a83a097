import type { NotificationInput } from '../../contracts/notification.ts';

/** What workflows call to tell people; each call is one message to one channel. */
export interface NotifyActivities {
  /**
   * Delivers a message, once or more; its receiver knows a repetition by the message's id. `UNAVAILABLE` where trying again
   * may help. `CONFIGURATION` for what a person must correct: tried again where our own side is wrong (no such channel, an
   * address or secret that cannot be read), since it is delivered once that is mended, and final where the receiver refuses it.
   */
  deliver(input: NotificationInput): Promise<void>;
}
