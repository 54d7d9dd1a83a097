import { METADATA_ENCODING_KEY } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { payloadConverter } from '../../workflows/procedure/payload-converter.ts';

const SMILE = '\u{1F600}';
const encode = (text: string) => new TextEncoder().encode(text);
const decoded = (json: string, encoding = 'json/plain') => payloadConverter.fromPayload<unknown>({ metadata: { [METADATA_ENCODING_KEY]: encode(encoding) }, data: encode(json) });
const nested = (levels: number, open = '[', close = ']') => `${open.repeat(levels)}${close.repeat(levels)}`;

describe('what somebody sent is decoded', () => {
  it.each([['null', null], ['"a"', 'a'], ['{"a":[1,true]}', { a: [1, true] }], [JSON.stringify(SMILE), SMILE], [String.raw`"\ud83d\ude00"`, SMILE], [String.raw`"\\ud83d"`, String.raw`\ud83d`]])('%s', (json, value) => {
    expect(decoded(json)).toEqual(value);
  });

  it('with U+FFFD for half a character, in texts and names', () => {
    for (const half of [String.raw`\ud83d`, String.raw`\uDE00`, String.raw`\uD83Dx`]) expect(JSON.stringify(decoded(`{"${half}":["${half}"]}`))).not.toMatch(/\\ud[89a-f]/i);
    expect(decoded(String.raw`{"\ud83d":"\ude00"}`)).toEqual({ '\uFFFD': '\uFFFD' });
  });

  it('up to 200 levels, however they are made, and not beyond', () => {
    const tooDeep = { unreadable: 'it is nested more than 200 levels deep' };
    expect(JSON.stringify(decoded(nested(200)))).toBe(nested(200));
    expect(decoded(nested(201))).toEqual(tooDeep);
    expect(decoded(`${'{"a":['.repeat(100)}1${']}'.repeat(100)}`)).not.toEqual(tooDeep);
    expect(decoded(`[${'{"a":['.repeat(100)}1${']}'.repeat(100)}]`)).toEqual(tooDeep);
    expect(decoded(nested(2_000_000))).toEqual(tooDeep);
  });

  it('whatever brackets are in texts, or follow each other', () => {
    expect(decoded(JSON.stringify({ a: nested(300), b: `"\\${'{'.repeat(300)}` }))).toEqual({ a: nested(300), b: `"\\${'{'.repeat(300)}` });
    expect(decoded(`[${'[],{},'.repeat(300)}0]`)).toHaveLength(601);
  });

  it('or is said to be unreadable', () => {
    expect([decoded('{'), decoded('{}', 'other'), decoded('x', 'binary/plain')]).toEqual([{ unreadable: 'it is no JSON' }, { unreadable: 'its encoding is "other"' }, { unreadable: 'its encoding is "binary/plain"' }]);
  });
});
