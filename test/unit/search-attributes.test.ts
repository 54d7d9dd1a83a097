import { expect, test } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import { registerSearchAttributes } from '../../workers/search-attributes.ts';

// A real server that refuses is in test/integration/principal.test.ts, where Go is there to build it.
const KEYWORD = 2;
const REFUSED = Object.assign(new Error('7 PERMISSION_DENIED: Request unauthorized.'), { code: 7 });
type Connection = Parameters<typeof registerSearchAttributes>[0];

/** Of a namespace that has these, and lets nobody register more. */
function forbidding(list: () => Record<string, number>) {
  const asked: string[][] = [];
  const operatorService = {
    listSearchAttributes: async () => ({ customAttributes: list() }),
    addSearchAttributes: async ({ searchAttributes }: { searchAttributes: Record<string, number> }) => {
      asked.push(Object.keys(searchAttributes));
      throw REFUSED;
    },
  };
  const warnings: string[] = [];
  const registered = registerSearchAttributes({ operatorService } as unknown as Connection, 'default', (line) => warnings.push(line));
  return { registered, asked, warnings };
}

test('where nobody may register search attributes, a worker starts with those that are there, and says which runs do without', async () => {
  const missing = Object.keys(SEARCH_ATTRIBUTES).filter((name) => name !== 'RunbookType' && name !== 'RunbookTarget');
  const { registered, asked, warnings } = forbidding(() => ({ RunbookType: KEYWORD, RunbookTarget: KEYWORD, OfOthers: KEYWORD }));
  expect(await registered).toEqual(['RunbookType', 'RunbookTarget']);
  expect(asked).toEqual([missing]);
  expect(warnings).toEqual([`the search attributes ${missing.join(', ')} could not be registered (7 PERMISSION_DENIED: Request unauthorized.); runs do without them`]);
});

test('where nobody may even look which there are, it starts without any', async () => {
  const { registered, warnings } = forbidding(() => { throw REFUSED; });
  expect(await registered).toEqual([]);
  expect(warnings).toHaveLength(1);
});
