import type { EvidenceStore } from '../../activities/evidence/store.ts';

/** What an object store holds, by key. */
export type Bucket = Map<string, { text: string; modifiedAtMs: number }>;

/** The port as an object store would be behind it: every call takes a while, and a put is refused where the key is taken. */
export function memoryStore(bucket: Bucket = new Map(), location = 'memory'): EvidenceStore {
  const answer = () => new Promise<void>((resolve) => { setTimeout(resolve, Math.random() * 3); });
  return {
    location,
    locate: (name) => `${location}/${name}`,
    async putIfAbsent(name, text) {
      await answer();
      if (bucket.has(name)) return false;
      bucket.set(name, { text, modifiedAtMs: Date.now() });
      return true;
    },
    async get(name) {
      await answer();
      return bucket.get(name)?.text;
    },
    async list(folder) {
      await answer();
      const isThere = (name: string) => (folder === undefined ? !name.includes('/') : name.startsWith(`${folder}/`));
      return [...bucket].filter(([name]) => isThere(name)).map(([name, { text, modifiedAtMs }]) => ({ name, bytes: Buffer.byteLength(text), modifiedAtMs }));
    },
  };
}
