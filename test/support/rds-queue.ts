import { CreateEventSubscriptionCommand, type RDSClient } from '@aws-sdk/client-rds';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, GetQueueAttributesCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { AwsLab } from './aws-lab.ts';

/** A queue that RDS's events come to. */
export interface RdsQueue {
  queueUrl: string;
  /** Puts a message there. */
  send: (body: string) => Promise<unknown>;
  /** How many messages there are, in flight or not. */
  count: () => Promise<number>;
}

/** What docs/how-to/rds-events.md does: topic, queue, and a subscription to all instances, as often as asked. */
export async function createRdsQueue(lab: AwsLab, rds: RDSClient, name: string, { subscriptions = 1, raw = false } = {}): Promise<RdsQueue> {
  const connection = { endpoint: lab.endpoint, region: lab.region, credentials: lab.credentials };
  const [sns, sqs] = [new SNSClient(connection), new SQSClient(connection)];
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: name }));
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: { MessageRetentionPeriod: '300' } }));
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: `arn:aws:sqs:${lab.region}:${lab.account}:${name}`, Attributes: { RawMessageDelivery: String(raw) } }));
  for (let number = 0; number < subscriptions; number += 1) await rds.send(new CreateEventSubscriptionCommand({ SubscriptionName: `${name}-${number}`, SnsTopicArn: TopicArn, SourceType: 'db-instance', Enabled: true }));
  return {
    queueUrl: QueueUrl,
    send: (MessageBody) => sqs.send(new SendMessageCommand({ QueueUrl, MessageBody })),
    async count() {
      const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] }));
      return Number(Attributes?.['ApproximateNumberOfMessages']) + Number(Attributes?.['ApproximateNumberOfMessagesNotVisible']);
    },
  };
}
