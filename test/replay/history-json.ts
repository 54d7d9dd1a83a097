import { createRequire } from 'node:module';
import proto from '@temporalio/proto';
import type { temporal } from '@temporalio/proto';

export type History = temporal.api.history.v1.IHistory;

/** What we use of protobufjs's reflection, which has no types of its own here. */
interface ProtoJson {
  toJson: (type: unknown, message: unknown) => unknown;
  fromJson: (type: unknown, json: unknown, options: { ignoreUnknownFields: boolean }) => History;
}
interface Root { lookupType: (name: string) => unknown }

/*
 * The SDK's own historyToJSON asks `instanceof` of a protobufjs that npm may have installed twice, and throws then. Taken
 * from where @temporalio/proto finds it, it is the one that made the types.
 */
const required = createRequire(createRequire(import.meta.url).resolve('@temporalio/proto'));
const protoJson = required('protobufjs/ext/protojson') as ProtoJson;
const { patchProtobufRoot } = required('@temporalio/proto/lib/patch-protobuf-root') as { patchProtobufRoot: (root: unknown) => Root };
const historyType = patchProtobufRoot(proto).lookupType('temporal.api.history.v1.History');

/** A history in the JSON that `temporal workflow show --output json` and the web UI write. */
export function historyToJson(history: History): { events: unknown[] } {
  return protoJson.toJson(historyType, proto.temporal.api.history.v1.History.fromObject(history)) as { events: unknown[] };
}

/** Reads what {@link historyToJson} wrote; fields of newer servers are passed over. */
export function historyFromJson(json: { events: unknown[] }): History {
  return protoJson.fromJson(historyType, { events: json.events }, { ignoreUnknownFields: true });
}
