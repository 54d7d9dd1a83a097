import { Context } from '@temporalio/activity';
import type { Configuration } from '../../contracts/configuration.ts';
import { plain } from '../../contracts/plain.ts';
import { channelAccess, mistake, type ChannelAccess, type ResolveSecret } from './channel-access.ts';
import { messageId } from './message-id.ts';
import { messageOf, type Message } from './message.ts';
import type { NotifyActivities } from './notify-activities.ts';
import { post } from './post.ts';
import { slackPayload } from './slack.ts';
import { webhookRequest } from './webhook.ts';

/** What delivering needs of the worker. Secrets are resolved for each attempt anew: a new address counts without a restart. */
export interface NotifyDependencies {
  configuration: Pick<Configuration, 'notifications' | 'webUi'>;
  /** Namespace of the runs that are told of. */
  namespace: string;
  resolveSecret: ResolveSecret;
}

/** Delivers what people are told. A further kind of channel is one more branch here, and a file beside this one. */
export function createNotifyActivities({ configuration, namespace, resolveSecret }: NotifyDependencies): NotifyActivities {
  const { notifications: { channels }, webUi } = configuration;
  return {
    async deliver({ channel, notice }) {
      // Names come from outside: `constructor` is one that every object has.
      const settings = Object.hasOwn(channels, channel) ? channels[channel] : undefined;
      if (!settings) throw mistake(`there is no channel "${plain(channel)}" under notifications.channels; add it, and start the worker anew`);
      const access = await channelAccess(channel, settings, resolveSecret);
      const request = requestOf(messageOf(notice, { webUi, namespace }), channel, access);
      await post({ channel, address: access.address, ...request, timeoutMs: settings.timeout, cancellation: Context.current().cancellationSignal });
    },
  };
}

/** In the form that the channel takes: a webhook signs, Slack's address is its password. */
function requestOf(message: Message, channel: string, { key }: ChannelAccess): { headers: Record<string, string>; body: string } {
  const id = messageId(message.notice.id, channel);
  if (key) return webhookRequest(message, { id, key, sentAtMs: Date.now() });
  return { headers: {}, body: JSON.stringify(slackPayload(message, id)) };
}
