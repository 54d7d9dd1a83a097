import { afterAll, beforeAll, expect, it } from 'vitest';
import { sourceAnswers } from '../../activities/dr-test/source-answers.ts';
import { startCluster, type Server } from '../support/postgres.ts';

let server: Server;
beforeAll(async () => { server = await startCluster(); });
afterAll(() => server.stop());

const { signal } = new AbortController();
const run = (...statements: string[]) => server.withClient('postgres', async (client) => { for (const sql of statements) await client.query(sql); });
const as = (user: string, database = 'postgres') => ({ ...server.config(database), user });
const gone = { host: '127.0.0.1', port: 1, database: 'postgres', user: 'anybody' };

it('asks a source again where a connection fails that may not a moment later', async () => {
  await run('CREATE ROLE full_house LOGIN CONNECTION LIMIT 0');
  const asked = sourceAnswers(as('full_house'), signal, [200, 200, 10_000]);
  await run('SELECT pg_sleep(0.3)', 'ALTER ROLE full_house CONNECTION LIMIT -1');
  expect(await asked).toBe(true);
  expect(await sourceAnswers(gone, signal, [10, 10])).toBe(false);
});

it('does not ask again what refuses it for good, and takes a database that is not there for an answer', async () => {
  await run('CREATE DATABASE of_others', 'CREATE ROLE stranger LOGIN', 'REVOKE CONNECT ON DATABASE of_others FROM PUBLIC');
  const begun = Date.now();
  expect(await sourceAnswers(as('stranger', 'of_others'), signal, [60_000])).toBe(false);
  expect(await sourceAnswers(as('nobody_at_all'), signal, [60_000])).toBe(false);
  expect(await sourceAnswers(as('stranger', 'not_there'), signal, [60_000])).toBe(true);
  expect(Date.now() - begun).toBeLessThan(60_000);
});

it('waits no longer than its signal lets it', async () => {
  const ending = new AbortController();
  const asked = sourceAnswers(gone, ending.signal, [60_000]);
  setTimeout(() => ending.abort(), 100);
  await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
});
