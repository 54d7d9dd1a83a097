import { z } from 'zod';
import { durationMs } from './duration.ts';

/** Where people are told. Addresses are secrets: a Slack webhook's is a password. */
const secretSource = {
  /** File that holds the address. */
  urlFile: z.string().optional(),
  /** Name of the environment variable that holds the address. */
  urlEnv: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/).optional(),
};
const oneAddress = (channel: { urlFile?: string | undefined; urlEnv?: string | undefined }) => (channel.urlFile === undefined) !== (channel.urlEnv === undefined);

/** An attempt to deliver has a minute, and secrets are read in it too. */
const timeout = durationMs.refine((ms) => ms > 0 && ms <= 45_000, 'is how long a receiver may take to answer: more than nothing, and at most 45s').default(10_000);

/** A receiver of notices. `timeout`: in milliseconds once it is read, for one attempt. */
export const channelSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('slack'), ...secretSource, timeout }),
  z.strictObject({
    kind: z.literal('webhook'), ...secretSource, timeout,
    /** File of the secret that signs each message, as in the Standard Webhooks specification: `whsec_` and base64. */
    secretFile: z.string().optional(),
    secretEnv: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/).optional(),
  }).refine((channel) => (channel.secretFile === undefined) !== (channel.secretEnv === undefined), { path: ['secretFile'], message: 'name the secret that signs messages, with secretFile or with secretEnv' }),
]).refine(oneAddress, { path: ['urlFile'], message: 'name the address with urlFile or with urlEnv, one of them' });
/** With its defaults; the address and the signing secret are still references. */
export type ChannelSettings = z.output<typeof channelSchema>;

/** Each channel that is told is a workflow of its own, and a run may have so many under way only. */
export const MOST_CHANNELS = 20;

/** What people are told of. The last two go to the channels of `notifications.alarm`, the others to those that the gate names. */
export const NOTIFICATION_KINDS = ['gateOpened', 'gateReminder', 'gateEscalated', 'gatePlanChanged', 'gatePolicyChanged', 'stepWaits', 'leftBehind'] as const;
/** One of {@link NOTIFICATION_KINDS}; receivers of webhooks see it as `kind`. */
export type NotificationKind = (typeof NOTIFICATION_KINDS)[number];

/** What people are told. Everything in it may be shown to anybody in the channel. */
export const noticeSchema = z.object({
  kind: z.enum(NOTIFICATION_KINDS),
  /** The same for each attempt to deliver it: whoever gets it twice can tell. */
  id: z.string().min(1),
  at: z.string(),
  runbook: z.string(),
  target: z.string().nullable(),
  workflowId: z.string(),
  runId: z.string(),
  requester: z.string().nullable(),
  reason: z.string().nullable(),
  /** What people have to do or to know, one sentence each. */
  lines: z.array(z.string()),
  gate: z.object({ name: z.string(), planHash: z.string(), expiresAt: z.string(), approvers: z.array(z.string()), quorum: z.number(), assurance: z.string() }).nullable(),
});
/** No address and no secret is in it: it stands in histories. */
export type Notice = z.output<typeof noticeSchema>;

/** `channel` is a name in the configuration; the activity that delivers looks up its address. */
export const notificationInputSchema = z.object({ channel: z.string(), notice: noticeSchema });
/** Input of the notification workflow: one message to one channel. */
export type NotificationInput = z.output<typeof notificationInputSchema>;

/** Workflow type of deliveries, of which each is a workflow of its own, so that one receiver that is down keeps nothing up. */
export const NOTIFICATION_TYPE = 'notification';
