import { setTimeout as sleep } from 'node:timers/promises';
import type * as Sdk from '@aws-sdk/client-sqs';
import { ApplicationFailure } from '@temporalio/common';
import { explainAws, isNamed } from '../aws/failures.ts';
import { LONGEST_POLL_SECONDS, type Sqs } from '../aws/sqs-client.ts';
import type { EventSource } from '../waiting/await-ready.ts';
import { instanceOf } from './event-message.ts';

/** How long a message that was received is nobody else's: a worker that dies with one keeps it from others for so long. */
const HELD_SECONDS = 10;
/** A message that is another's is handed back at once so often. By then each waiter has had it, or it is nobody's: of production, made up, or of a drill that is over. */
const AT_ONCE = 12;
/** After that it rests, twice as long each time. */
const REST_SECONDS = { first: 5, most: 900 };
/** Who was given what is another's lets others ask first, for about so long. */
const GIVE_WAY_MS = 200;
/** A queue that does not answer is asked again after this. */
const AGAIN_MS = 5_000;

/**
 * News of an instance, from a queue that others listen to as well, each for its own. A message of this instance is removed; any
 * other is handed back and never removed, so that whoever waits for it gets it. What cannot be heard of for good (no such
 * queue, no permission) is thrown; throttling and the like are waited out.
 */
export function instanceEvents({ open, queueUrl, identifier }: { open: () => Promise<Sqs>; queueUrl: string; identifier: string }): EventSource {
  const wanted = identifier.toLowerCase();
  let refused: unknown;

  /** Removes ours and hands back the others'. A queue whose messages we may not return is not listened to: others would miss theirs. */
  const settle = ({ sdk, client }: Sqs, message: Sdk.Message) => {
    const handle = { QueueUrl: queueUrl, ReceiptHandle: message.ReceiptHandle };
    const settled = instanceOf(message.Body) === wanted ? client.send(new sdk.DeleteMessageCommand(handle)) : client.send(new sdk.ChangeMessageVisibilityCommand({ ...handle, VisibilityTimeout: restSeconds(message) }));
    return settled.catch((error: unknown) => {
      // It has become visible by itself, or is gone.
      if (!isNamed(error, 'MessageNotInflight', 'ReceiptHandleIsInvalid', 'InvalidParameterValue') && !passes(error)) refused ??= error;
    });
  };

  return {
    async next(withinMs, signal) {
      for (const end = Date.now() + withinMs; ;) {
        if (refused !== undefined) throw explained(refused);
        const leftMs = Math.max(0, end - Date.now());
        const seconds = Math.min(LONGEST_POLL_SECONDS, Math.floor(leftMs / 1_000));
        if (seconds < 1) return sleep(leftMs, false, { signal });
        try {
          const sqs = await open();
          const { Messages: messages = [] } = await sqs.client.send(new sqs.sdk.ReceiveMessageCommand({
            QueueUrl: queueUrl, WaitTimeSeconds: seconds, MaxNumberOfMessages: 10, VisibilityTimeout: HELD_SECONDS, MessageSystemAttributeNames: ['ApproximateReceiveCount'],
          }), { abortSignal: signal });
          await Promise.all(messages.map((message) => settle(sqs, message)));
          if (messages.some(({ Body }) => instanceOf(Body) === wanted)) return true;
          if (messages.length > 0) await sleep(GIVE_WAY_MS * (0.5 + Math.random()), undefined, { signal });
        } catch (error) {
          signal.throwIfAborted();
          if (!passes(error)) throw explained(error);
          await sleep(Math.min(AGAIN_MS, leftMs), undefined, { signal });
        }
      }
    },
  };
}

/** For how long a message that is another's is nobody's. */
function restSeconds({ Attributes }: Sdk.Message): number {
  const beyond = Number(Attributes?.ApproximateReceiveCount ?? 1) - AT_ONCE;
  return beyond > 0 ? Math.min(REST_SECONDS.most, REST_SECONDS.first * 2 ** (beyond - 1)) : 0;
}

const explained = (error: unknown) => explainAws(error, 'listening to the event queue');

/** Whether it is a matter of time. */
function passes(error: unknown): boolean {
  const failure = explained(error);
  return failure instanceof ApplicationFailure && failure.type === 'UNAVAILABLE';
}
