import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { copyInto, lackOf, makeUpFor } from '../../activities/evidence/copies.ts';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { createEvidenceWriter } from '../../activities/evidence/evidence-writer.ts';
import { sendLateCopies } from '../../activities/evidence/late-copies.ts';
import { objectStore } from '../../activities/evidence/object-store.ts';
import { nameByHead, namesOf } from '../../activities/evidence/store.ts';
import type { ObjectStoreSettings } from '../../contracts/evidence-copies.ts';
import { examineCopies } from '../../scripts/cli/doctor-copies.ts';
import { report } from '../../scripts/cli/report.ts';
import { hasGo } from '../../scripts/embedded/go-build.ts';
import { describeEvidenceStore } from '../support/evidence-store-contract.ts';
import { passOn, serveHttp, type LocalHttp } from '../support/local-http.ts';
import { startObjectServer, type Credentials, type ObjectServer } from '../support/object-server.ts';
import { PATIENT } from '../support/patience.ts';
import { sampleEvidence } from '../unit/report-fixture.ts';

/** The first time, the server is built. */
const BUILD_MS = 30 * 60_000;
const isGoThere = await hasGo(process.env);

let server: ObjectServer;
let root: string;
let https: LocalHttp[];
let made = 0;

/** As nothing on this host is configured for the SDK. */
function become({ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY }: Partial<Credentials>, region: string | null = 'us-east-1'): void {
  for (const name of ['AWS_PROFILE', 'AWS_DEFAULT_REGION', 'AWS_SESSION_TOKEN', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CONTAINER_CREDENTIALS_FULL_URI', 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3']) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries({ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION: region ?? undefined })) vi.stubEnv(name, value);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, join(root, 'not-there'));
}

const settingsFor = (s3: string, endpoint = server.endpoint): ObjectStoreSettings => ({ s3, endpoint, forcePathStyle: true });

/** A bucket of its own, the directory of its objects, and a prefix in it. */
async function newBucket(): Promise<{ settings: ObjectStoreSettings; objects: string }> {
  made += 1;
  const objects = await server.addBucket(`evidence-${made}`);
  return { settings: settingsFor(`s3://evidence-${made}/of/runbooks/`), objects };
}

async function serve(...parameters: Parameters<typeof serveHttp>): Promise<LocalHttp> {
  const http = await serveHttp(...parameters);
  https.push(http);
  return http;
}

describe.skipIf(!isGoThere)(`evidence on a real S3 server${isGoThere ? '' : ' (skipped: it is built with Go, which is not installed)'}`, () => {
  beforeAll(async () => { server = await startObjectServer(console.log); }, BUILD_MS);
  afterAll(() => server?.stop());
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'object-store-'));
    https = [];
    become(server.owner);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    await Promise.all(https.map((http) => http.stop()));
    await rm(root, { recursive: true });
  });

  describeEvidenceStore('a bucket below a prefix', async () => {
    const { settings } = await newBucket();
    return { open: () => objectStore(settings), remove: () => Promise.resolve() };
  });

  describeEvidenceStore('a bucket as a whole', async () => {
    await newBucket();
    const settings = settingsFor(`s3://evidence-${made}`);
    return { open: () => objectStore(settings), remove: () => Promise.resolve() };
  });

  it('has an address for people, with a prefix or without', () => {
    const store = objectStore({ s3: 's3://bucket/of/runbooks/' });
    expect([store.location, store.locate(nameByHead('abc'))]).toEqual(['s3://bucket/of/runbooks', 's3://bucket/of/runbooks/by-head/abc.json']);
    expect(objectStore({ s3: 's3://bucket' }).locate('a.json')).toBe('s3://bucket/a.json');
  });

  it('is of exactly one of two who put the same name at once, many times over', async () => {
    const { settings } = await newBucket();
    const [one, other] = [objectStore(settings), objectStore(settings)];
    await Promise.all([one.putIfAbsent('first.json', '1'), other.putIfAbsent('second.json', '2')]);
    for (let round = 0; round < 100; round += 1) {
      const results = await Promise.all([one.putIfAbsent(`${round}.json`, 'one'), other.putIfAbsent(`${round}.json`, 'other')]);
      expect(results.filter(Boolean)).toHaveLength(1);
      expect(await one.get(`${round}.json`)).toBe(results[0] ? 'one' : 'other');
    }
  });

  it('lists more than one answer holds', async () => {
    const { settings, objects } = await newBucket();
    const store = objectStore(settings);
    await store.putIfAbsent('0.json', '0');
    await store.putIfAbsent(nameByHead('f'), 'f');
    const names = Array.from({ length: 2_004 }, (_, index) => `${index + 1}.json`);
    await Promise.all(names.map((name) => writeFile(join(objects, 'of/runbooks', name), name)));
    const listed = await store.list();
    expect(listed).toHaveLength(2_005);
    expect(new Set(listed.map(({ name }) => name))).toEqual(new Set(['0.json', ...names]));
    expect(listed.find(({ name }) => name === '2004.json')?.bytes).toBe(9);
  });

  it('gets what a directory has, and what it lacked, and is told apart by size where it has other things', async () => {
    const { settings } = await newBucket();
    const evidence = { directory: join(root, 'evidence'), copies: [settings] };
    const here = directoryStore(evidence.directory);
    const copy = objectStore(settings);
    const writer = createEvidenceWriter({ store: here, copies: [copy] });
    const { head } = await writer.write(sampleEvidence({ runId: 'run-1' }));
    expect(await lackOf(copy, here)).toEqual({ missing: [], other: [] });
    expect(await copy.get(nameByHead(head ?? ''))).toBe(await here.get(nameByHead(head ?? '')));
    expect(await examineCopies({ evidence })).toMatchObject([{ outcome: 'ok', name: `copy in ${copy.location}` }]);
    await writer.write(sampleEvidence({ runId: 'run-1' }));

    const { head: late } = await createEvidenceWriter({ store: here }).write(sampleEvidence({ runId: 'run-2' }));
    const names = namesOf(sampleEvidence({ runId: 'run-2' }));
    expect((await lackOf(copy, here)).missing).toEqual([nameByHead(late ?? ''), names.report, names.evidence].toSorted());
    expect(await examineCopies({ evidence })).toMatchObject([{ outcome: 'warning', detail: expect.stringContaining('3 file(s)') as string, todo: 'a worker on this host copies them when it starts, and each hour' }]);
    expect((await makeUpFor(copy, here)).toSorted()).toEqual([nameByHead(late ?? ''), names.report, names.evidence].toSorted());
    expect(await sendLateCopies({ evidence })).toEqual([]);

    await here.putIfAbsent('a.json', 'longer');
    await copy.putIfAbsent('a.json', 'short');
    expect(await lackOf(copy, here)).toEqual({ missing: [], other: ['a.json'] });
    expect([await copy.get('a.json'), await makeUpFor(copy, here), await copy.get('a.json')]).toEqual(['short', [], 'short']);
  });

  it('gives `runbook report` the evidence with a head, with the runs before it', async () => {
    const { settings } = await newBucket();
    const copy = objectStore(settings);
    const writer = createEvidenceWriter({ store: directoryStore(join(root, 'lost')), copies: [copy] });
    const { head: earlier } = await writer.write(sampleEvidence({ runId: 'before', startedAt: '2026-11-14T03:00:00.000Z', finishedAt: '2026-11-14T03:05:00.000Z' }));
    const { head } = await writer.write(sampleEvidence());
    const config = join(root, 'runbooks.yaml');
    const configured = (text: string) => writeFile(config, `version: 1\nevidence: { directory: ./here, copies: [${text}] }\ndatabases: { orders: { connection: {}, provider: { kind: archive, repository: /b, walDirectory: /w } } }\n`);
    let printed = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => { printed += String(text); return true; });
    await configured(`{ s3: ${settings.s3}, endpoint: '${server.endpoint}', forcePathStyle: true }`);
    await report(head ?? '', { config, format: 'json' });
    expect(JSON.parse(printed)).toMatchObject({ paths: { evidence: copy.locate(nameByHead(head ?? '')), report: copy.locate(namesOf(sampleEvidence()).report) }, earlierRuns: [{ head: earlier }] });
    await configured(`{ s3: s3://nobodys, endpoint: '${server.endpoint}', forcePathStyle: true }`);
    await expect(report(head ?? '', { config })).rejects.toThrow(/no evidence with this head in .*s3:\/\/nobodys; .*\n.*there is no bucket nobodys/);
  });

  it('puts again what the server refused since others were putting the same, and gives up in the end', async () => {
    const { settings } = await newBucket();
    let refusals = 0;
    const busy = await serve((incoming, response) => {
      if (incoming.method !== 'PUT' || refusals === 0) return passOn(server.endpoint, incoming, response);
      refusals -= 1;
      incoming.resume().on('end', () => response.writeHead(409, { 'content-type': 'application/xml' }).end('<Error><Code>ConditionalRequestConflict</Code><Message>again</Message></Error>'));
    });
    const store = objectStore({ ...settings, endpoint: busy.endpoint });
    refusals = 2;
    expect(await store.putIfAbsent('a.json', 'a')).toBe(true);
    expect([refusals, await store.get('a.json')]).toEqual([0, 'a']);
    refusals = Infinity;
    await expect(store.putIfAbsent('b.json', 'b')).rejects.toThrow('others put the same name again and again');
  });

  it('overwrites nothing on a server that does not know conditions, and says so', async () => {
    const { settings } = await newBucket();
    // As old servers do: what comes is taken.
    const objects = new Map<string, string>();
    const careless = await serve((incoming, response) => {
      const key = (incoming.url ?? '').split('?')[0] ?? '';
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part)).on('end', () => {
        if (incoming.method === 'PUT') { objects.set(key, Buffer.concat(parts).toString()); return response.end(); }
        const text = objects.get(key);
        return text === undefined ? response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>') : response.end(text);
      });
    });
    objects.set('/bucket/a.json', 'first');
    const store = objectStore({ ...settings, s3: 's3://bucket', endpoint: careless.endpoint });
    expect([await store.putIfAbsent('a.json', 'second'), objects.get('/bucket/a.json')]).toEqual([false, 'first']);
    await expect(store.putIfAbsent('b.json', 'b')).rejects.toThrow('does not honour If-None-Match');
    // Tried again, with a name that is there by now and one that is not: it stays what it was found to be.
    for (const name of ['b.json', 'c.json']) await expect(store.putIfAbsent(name, 'again')).rejects.toThrow('does not honour If-None-Match');
    expect([...objects.keys()]).toEqual(['/bucket/a.json', '/bucket/b.json']);
  });

  it('is given up when its server accepts and says nothing, or half of something, and nothing stays open; other copies are made', async () => {
    const { settings } = await newBucket();
    const silent = await serve((incoming) => { incoming.resume(); });
    const half = await serve((_incoming, response) => { response.writeHead(200, { 'content-length': '1000' }).write('{"half'); });
    const late = 'it did not answer within 0.4 s';
    for (const http of [silent, half]) {
      const store = objectStore({ ...settings, endpoint: http.endpoint }, { answerMs: 400 });
      const started = Date.now();
      await expect(store.get('a.json')).rejects.toThrow(late);
      await expect(store.list()).rejects.toThrow(late);
      await expect(store.putIfAbsent('a.json', 'a')).rejects.toThrow(late);
      expect(Date.now() - started).toBeLessThan(20_000);
      await vi.waitFor(() => expect(http.open()).toBe(0), PATIENT);
    }
    const hung = objectStore({ ...settings, endpoint: silent.endpoint }, { answerMs: 400 });
    const well = objectStore(settings);
    expect(await copyInto([hung, well], { texts: new Map([['a.json', 'a']]), proof: 'a.json' })).toEqual([`${hung.location}: ${late}`]);
    expect(await well.get('a.json')).toBe('a');
    const away = directoryStore(join(root, 'evidence'));
    await expect(makeUpFor(hung, away)).rejects.toThrow(late);
  });

  describe('says in one sentence what to change', () => {
    const SECRET = 'sEcReT-of-somebody';
    const saidOf = async (settings: ObjectStoreSettings): Promise<string> => {
      const store = objectStore(settings);
      const errors = await Promise.all([store.get('a.json'), store.list(), store.putIfAbsent('a.json', 'a')].map((asked) => asked.then(() => undefined, (error: unknown) => error as Error)));
      const [finding] = await examineCopies({ evidence: { directory: join(root, 'evidence'), copies: [settings] } });
      const messages = new Set(errors.map((error) => error?.message));
      const said = [...messages][0] ?? '';
      expect(messages.size).toBe(1);
      expect(finding).toMatchObject({ outcome: 'problem', detail: `it cannot be looked at: ${said}`, todo: 'runs wait up to a day for it before they end; make it work, or take it out of evidence.copies' });
      expect(said).not.toMatch(/\n/);
      // Nor in what would be shown with it: a cause, or what the SDK puts on its errors.
      for (const error of errors) expect(inspect(error, { showHidden: true, depth: 9 })).not.toMatch(new RegExp(`${SECRET}|${server.owner.AWS_SECRET_ACCESS_KEY}`));
      return said;
    };

    it('where there is no such bucket', async () => {
      expect(await saidOf(settingsFor('s3://nobodys/of'))).toBe('there is no bucket nobodys; create it, or correct evidence.copies');
    });

    it('where access is denied', async () => {
      const { settings } = await newBucket();
      become(await server.addStranger());
      expect(await saidOf(settings)).toBe(`access is denied; allow these credentials s3:ListBucket on evidence-${made}, and s3:GetObject and s3:PutObject on what is in it`);
    });

    it('where the credentials are of nobody, or wrong', async () => {
      const { settings } = await newBucket();
      become({ AWS_ACCESS_KEY_ID: 'AKOFNOBODY', AWS_SECRET_ACCESS_KEY: SECRET });
      expect(await saidOf(settings)).toMatch(/^its server does not take the credentials \(InvalidAccessKeyId\); correct those that are set, or set AWS_ACCESS_KEY_ID/);
      become({ ...server.owner, AWS_SECRET_ACCESS_KEY: SECRET });
      expect(await saidOf(settings)).toMatch(/^its server does not take the credentials \(SignatureDoesNotMatch\); /);
    });

    it('where there are no credentials, or a program for them fails and tells', async () => {
      const { settings } = await newBucket();
      become({});
      const none = /^there are no credentials for it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for whoever runs this, or give the host a role$/;
      expect(await saidOf(settings)).toMatch(none);
      await writeFile(join(root, 'config'), `[default]\ncredential_process = sh -c "echo ${SECRET} >&2; exit 1"\n`);
      vi.stubEnv('AWS_CONFIG_FILE', join(root, 'config'));
      expect(await saidOf(settings)).toMatch(none);
    });

    it('where there is no region, or another', async () => {
      const { settings } = await newBucket();
      become(server.owner, null);
      expect(await saidOf(settings)).toBe('no region is set for it; set region in evidence.copies, or AWS_REGION');
      expect(await saidOf({ ...settings, region: 'eu-central-1' })).toBe(`the bucket evidence-${made} is in another region than eu-central-1; set region for it in evidence.copies`);
    });

    it('where nobody listens, and where the name of the endpoint is of nobody', async () => {
      const gone = await serveHttp(() => undefined);
      await gone.stop();
      expect(await saidOf(settingsFor('s3://bucket', gone.endpoint))).toBe(`${gone.endpoint} cannot be reached (ECONNREFUSED); correct endpoint or region in evidence.copies, or see what keeps this host from it`);
      expect(await saidOf(settingsFor('s3://bucket', 'http://nowhere.invalid'))).toMatch(/^http:\/\/nowhere\.invalid cannot be reached \((ENOTFOUND|EAI_AGAIN)\); /);
    });

    it('where something else answers, without what that says', async () => {
      const other = await serve((incoming, response) => { incoming.resume().on('end', () => response.writeHead(418, { 'content-type': 'application/xml' }).end(`<Error><Code>Teapot</Code><Message>you sent ${SECRET}</Message></Error>`)); });
      expect(await saidOf(settingsFor('s3://bucket', other.endpoint))).toBe('it answered 418 (Teapot); look at the server, and at evidence.copies');
    });
  });
});

it('costs a worker that has none nothing: the SDK stays outside what workers load, until an object store is asked', async () => {
  const bundle = await readFile(new URL('../../dist/workers/worker-parts.js', import.meta.url), 'utf8');
  expect(bundle.match(/.*@aws-sdk\/client-s3.*/g)).toEqual([expect.stringMatching(/await import\(["']@aws-sdk\/client-s3["']\)/)]);
});
