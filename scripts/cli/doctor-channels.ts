import { channelAccess } from '../../activities/notify/channel-access.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { resolveSecret } from '../../workers/config.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';

/** Hosts to which nobody else listens on the way. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Whether what people are told could be sent: reads addresses and secrets as this user, shows none, and sends nothing. */
export async function examineChannels({ notifications: { channels } }: Pick<Configuration, 'notifications'>): Promise<Finding[]> {
  const findings = new Findings('notifications');
  for (const [name, settings] of Object.entries(channels)) {
    const label = `channel ${name}`;
    try {
      const { address, key } = await channelAccess(name, settings, resolveSecret);
      if (address.protocol === 'http:' && !LOOPBACK.test(address.hostname)) findings.warning(label, 'its address begins with http://, so messages can be read on the way', 'put an address there that begins with https://');
      else findings.ok(label, `its address${key ? ' and its secret' : ''} can be read; nothing was sent`);
    } catch (error) {
      const message = messageOf(error);
      const at = message.lastIndexOf('; ');
      findings.problem(label, message.slice(0, at), message.slice(at + 2));
    }
  }
  return findings.all;
}
