import type { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES, type SearchAttributeName } from '../contracts/search-attributes.ts';

const { IndexedValueType } = proto.temporal.api.enums.v1;
/** Any connection, the workers' own included. */
type Operator = Pick<Connection, 'operatorService'>;

const VALUE_TYPE = { Keyword: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD, Bool: IndexedValueType.INDEXED_VALUE_TYPE_BOOL, Double: IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE };

/**
 * Registers our search attributes and returns those that the server knows afterwards. A server that refuses leaves us
 * without: an unknown attribute would hang a run, so runs do without it.
 */
export async function registerSearchAttributes(connection: Operator, namespace: string, warn: (message: string) => void): Promise<SearchAttributeName[]> {
  const names = Object.keys(SEARCH_ATTRIBUTES) as SearchAttributeName[];
  let known = await listed(connection, namespace).catch(() => undefined);
  const missing = names.filter((name) => !known?.has(name));
  if (missing.length > 0) {
    try {
      await connection.operatorService.addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(missing.map((name) => [name, VALUE_TYPE[SEARCH_ATTRIBUTES[name]]])),
      });
      known = await listed(connection, namespace);
    } catch (error) {
      warn(`the search attributes ${missing.join(', ')} could not be registered (${error instanceof Error ? error.message : String(error)}); runs do without them`);
    }
  }
  const otherwise = wronglyTyped(Object.fromEntries(known ?? []));
  if (otherwise.length > 0) warn(`the search attributes ${otherwise.join(', ')} are registered with another type than ours; runs do without them`);
  return names.filter((name) => known?.has(name) && !otherwise.includes(name));
}

async function listed(connection: Operator, namespace: string): Promise<Map<string, number>> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return new Map(Object.entries(customAttributes ?? {}));
}

/** Which of our attributes a server has with another type, from its own list of them; a run that set one would hang. */
export function wronglyTyped(customAttributes: Readonly<Record<string, number>>): SearchAttributeName[] {
  return (Object.keys(SEARCH_ATTRIBUTES) as SearchAttributeName[]).filter((name) => customAttributes[name] !== undefined && customAttributes[name] !== VALUE_TYPE[SEARCH_ATTRIBUTES[name]]);
}
