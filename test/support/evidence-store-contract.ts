import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BY_HEAD, nameByHead, type EvidenceStore } from '../../activities/evidence/store.ts';

/** A place for evidence of one kind, and any number of writers on it. */
export interface PlaceOfStores { open: () => EvidenceStore; remove: () => Promise<void> }

/**
 * What every adapter of the evidence store promises. `isWholeAtOnce`: a text that is just being written is not there yet, or
 * whole; false where the place itself cannot do that.
 */
export function describeEvidenceStore(kind: string, make: () => Promise<PlaceOfStores>, { isWholeAtOnce = true } = {}): void {
  describe(`evidence in ${kind}`, () => {
    let place: PlaceOfStores;
    beforeEach(async () => { place = await make(); });
    afterEach(() => place.remove());

    const HEAD = nameByHead('a'.repeat(64));

    it('is nothing where nothing was put', async () => {
      const store = place.open();
      expect(await store.get('a.json')).toBeUndefined();
      expect([...await store.list(), ...await store.list(BY_HEAD)]).toEqual([]);
    });

    it.each(['a.json', HEAD])('has for %s what was put first, for good and for everybody', async (name) => {
      expect(await place.open().putIfAbsent(name, 'first')).toBe(true);
      expect(await place.open().putIfAbsent(name, 'second')).toBe(false);
      expect(await place.open().get(name)).toBe('first');
    });

    it('lists each folder alone, with sizes in bytes and times', async () => {
      const store = place.open();
      const before = Date.now() - 2_000;
      for (const [name, text] of [['a.json', 'größer'], ['a.html', ''], [HEAD, 'x']] as const) await store.putIfAbsent(name, text);
      const listed = await store.list();
      expect(Object.fromEntries(listed.map(({ name, bytes }) => [name, bytes]))).toEqual({ 'a.html': 0, 'a.json': 8 });
      expect(listed.every(({ modifiedAtMs }) => modifiedAtMs > before && modifiedAtMs < Date.now() + 2_000)).toBe(true);
      expect((await store.list(BY_HEAD)).map(({ name }) => name)).toEqual([HEAD]);
    });

    it('is of one of many who write at once, whole, and the others are told so', async () => {
      const texts = Array.from({ length: 12 }, (_, index) => String.fromCharCode(97 + index).repeat(300_000));
      let isWriting = true;
      const seen = new Set<string | undefined>();
      const reading = (async () => {
        while (isWriting) {
          seen.add(await place.open().get('a.json'));
          expect((await place.open().list()).filter(({ name }) => name !== 'a.json')).toEqual([]);
        }
      })();
      const results = await Promise.all(texts.map((text) => place.open().putIfAbsent('a.json', text)));
      isWriting = false;
      await reading;
      expect(results.filter(Boolean)).toHaveLength(1);
      const kept = texts[results.indexOf(true)];
      expect(await place.open().get('a.json') === kept).toBe(true);
      expect([...seen].filter((text) => isWholeAtOnce && text !== undefined && text !== kept)).toHaveLength(0);
      expect((await place.open().list()).map(({ name }) => name)).toEqual(['a.json']);
    });
  });
}
