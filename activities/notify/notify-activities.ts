import type { NotificationInput } from '../../contracts/notification.ts';

export interface NotifyActivities {
  /**
   * Delivers a message, once or more. Fails for good where nothing but another configuration helps: no such channel, an
   * address or secret that cannot be read, a receiver that refuses it as wrong.
   */
  deliver(input: NotificationInput): Promise<void>;
}
