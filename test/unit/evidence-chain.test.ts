import { generateKeyPairSync } from 'node:crypto';
import { getLocation } from 'jsonc-parser';
import { describe, expect, it } from 'vitest';
import { locate } from '../../activities/evidence/chain/locate.ts';
import { seal, textOf } from '../../activities/evidence/chain/seal.ts';
import { redact } from '../../activities/evidence/chain/redact.ts';
import { isSignedBy, signer } from '../../activities/evidence/chain/sign.ts';
import { labelOf } from '../../activities/evidence/chain/parts.ts';
import { verifyChain, type Flaw } from '../../activities/evidence/chain/verify.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { sampleEvidence } from './report-fixture.ts';

const SEED = '0123456789abcdef0123456789abcdef';
const sealed = seal(sampleEvidence(), SEED);
const bytesOf = (evidence: object) => new TextEncoder().encode(textOf(evidence));
const bytes = bytesOf(sealed);
const key = generateKeyPairSync('ed25519', { publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
const signed = seal(sampleEvidence(), SEED, signer(key.privateKey));

/** As `runbook report --redact` hands it on. */
function redacted(...pointers: string[]) {
  const { evidence, salts } = redact(sealed as unknown as Record<string, unknown>, sealed.chain.seal, pointers);
  return { ...evidence, chain: { ...evidence['chain'] as object, seal: { ...sealed.chain.seal, salts } } };
}

/** What `runbook verify --key` finds, which looks at the signature once the chain holds. */
function flawsWithKey(file: Uint8Array): Pick<Flaw, 'part' | 'what'>[] {
  const { flaws, head, signature } = verifyChain(file);
  const isForged = flaws.length === 0 && signature !== null && !isSignedBy(key.publicKey, head ?? '', signature);
  return isForged ? [{ part: 'the signature', what: 'altered' }] : flaws;
}

/** Of a salt, or its name, the part of its entry is named: either of the two may be what was altered. */
function ofSalt(text: string, offset: number): string[] {
  const [, , , , name] = getLocation(text, offset).path;
  const entry = locate(text, offset) === 'the salts' ? sealed.chain.seal.entries[Number.parseInt(String(name), 10)] : undefined;
  return entry ? [labelOf(entry)] : [];
}

/** A small generator with a seed (mulberry32): a failure can be made again. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const flawsOf = (evidence: object) => verifyChain(bytesOf(evidence)).flaws.map(({ part, what }) => `${what} ${part}`);
const changed = (change: (evidence: Evidence) => void) => {
  const copy = structuredClone(sealed);
  change(copy);
  return flawsOf(copy);
};

describe('the chain of evidence', () => {
  it('verifies as it was written, and says how long it is', () => {
    expect(verifyChain(bytes)).toEqual({ flaws: [], head: sealed.chain.seal.head, signature: null, entries: sealed.chain.seal.entries.length, redacted: [] });
    expect(sealed.chain.seal.entries.map(({ kind }) => kind)).toEqual(['header', 'plan', 'step', 'gate', 'decision', 'decision', 'decision', 'step', 'operation', 'operation', 'operation', 'step', 'step', 'step', 'check', 'check', 'measurement', 'compensation', 'teardown', 'close']);
  });

  it('is the same when it is made again, and another with another seed', () => {
    expect(seal(sampleEvidence(), SEED).chain.seal.head).toBe(sealed.chain.seal.head);
    expect(seal(sampleEvidence(), `${SEED}x`).chain.seal.head).not.toBe(sealed.chain.seal.head);
  });

  const seed = Number(process.env['CHAIN_SEED'] ?? Date.now() % 1_000_000);
  it.each([[1_000, 'evidence', bytes], [250, 'redacted evidence', bytesOf(redacted('/gates/0/decisions/0/reason', '/plan', '/reason'))], [250, 'signed evidence', bytesOf(signed)]])(`notices each of %i random changes of one byte of %s, and names the entry (CHAIN_SEED=${seed})`, (rounds, _title, whole) => {
    const random = randomOf(seed);
    const text = new TextDecoder().decode(whole);
    const wrong: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const at = Math.floor(random() * whole.length);
      const copy = whole.slice();
      copy[at] = ((copy[at] as number) + 1 + Math.floor(random() * 255)) % 256;
      const flaws = flawsWithKey(copy);
      // The fixture is ASCII, so a byte is a character. Between two parts, either is right.
      // A name that is broken leaves only its neighbours to be named, and a structure that is broken only what holds it.
      const isName = getLocation(text, at).isAtPropertyKey || getLocation(text, at + 1).isAtPropertyKey || [text[at] ?? '', String.fromCharCode(copy[at] as number)].some((one) => '{}[],:'.includes(one));
      const right = [at - 1, at, at + 1, ...(isName ? [at - 15, at - 30, at + 15, at + 30] : [])].flatMap((near) => [...locate(text, near).split(' or '), ...ofSalt(text, near)]).flatMap(namesOf);
      if (isName) right.push('the list', 'the chain', 'the file');
      if (!flaws.some(({ part }) => part.split(' or ').some((one) => right.some((name) => one === name || one.startsWith(`${name} `))))) {
        wrong.push(`byte ${at}, ${JSON.stringify(text.slice(Math.max(at - 20, 0), at + 20))} became ${copy[at]}: wanted ${right.join(' or ')}, got ${flaws.map(({ what, part }) => `${what} ${part}`).join(', ') || 'nothing'}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it.each([
    ['a step', (evidence: Evidence) => evidence.steps.splice(1, 1), ['dropped step 2']],
    ['the last check', (evidence: Evidence) => evidence.checks.splice(1, 1), ['dropped check 2']],
    ['a decision', (evidence: Evidence) => evidence.gates[0]?.decisions.splice(0, 1), ['dropped decision 1 at gate 1']],
    ['the compensation', (evidence: Evidence) => evidence.compensations.splice(0), ['dropped compensation 1']],
    ['an operation', (evidence: Evidence) => evidence.operations.shift(), ['dropped operation 1']],
  ] as const)('names what was dropped: %s', (_title, change, flaws) => {
    expect(changed(change)).toEqual(flaws);
  });

  it.each([
    ['a step', (evidence: Evidence) => evidence.steps.splice(1, 0, structuredClone(evidence.steps[3] as Evidence['steps'][number])), ['added step 2 (reindex)']],
    ['a decision', (evidence: Evidence) => evidence.gates[0]?.decisions.push({ at: '2026-11-21T03:01:39.500Z', decision: 'approve', by: 'bob', onBehalfOf: null, planSeen: null, key: null, assurance: 'claimed', channel: 'update', identity: null, comment: null, counted: true, reason: null }), ['added decision 4 at gate 1']],
    ['a check', (evidence: Evidence) => evidence.checks.unshift({ name: 'all well', outcome: 'passed', detail: '' }), ['added check 1 (all well)']],
  ] as const)('names what was added: %s', (_title, change, flaws) => {
    expect(changed(change)).toEqual(flaws);
  });

  it.each([
    ['two checks', (evidence: Evidence) => evidence.checks.reverse(), 'moved check'],
    ['two steps that are far apart', (evidence: Evidence) => { [evidence.steps[0], evidence.steps[3]] = [evidence.steps[3] as Evidence['steps'][number], evidence.steps[0] as Evidence['steps'][number]]; }, 'moved step'],
    ['two decisions', (evidence: Evidence) => evidence.gates[0]?.decisions.reverse(), 'moved decision'],
  ] as const)('names what was swapped: %s', (_title, change, flaw) => {
    const flaws = changed(change);
    expect(flaws).not.toEqual([]);
    for (const one of flaws) expect(one).toContain(flaw);
  });

  it('names each entry of the chain that was dropped, swapped or made up, also where the rest was left alone', () => {
    for (const index of sealed.chain.seal.entries.keys()) {
      const copy = structuredClone(sealed);
      copy.chain.seal.entries.splice(index, 1);
      expect(flawsOf(copy), `entry ${index + 1} dropped`).not.toEqual([]);
      const { kind, of } = sealed.chain.seal.entries[index] as { kind: string; of: string };
      expect(flawsOf(copy).join(), `entry ${index + 1} dropped`).toContain(kind === 'header' ? 'the header' : kind === 'close' ? 'the end' : of === '/recovery' ? 'the measurement' : kind);
    }
    for (let index = 1; index < sealed.chain.seal.entries.length; index += 1) {
      const copy = structuredClone(sealed);
      const { entries } = copy.chain.seal;
      [entries[index - 1], entries[index]] = [entries[index] as never, entries[index - 1] as never];
      expect(flawsOf(copy).join(), `entries ${index} and ${index + 1} swapped`).toContain(`entry ${index} of the chain`);
    }
    for (let index = 0; index <= sealed.chain.seal.entries.length; index += 1) {
      const copy = structuredClone(sealed);
      const { entries } = copy.chain.seal;
      entries.splice(index, 0, structuredClone(entries[Math.min(index, entries.length - 1)] as never));
      expect(flawsOf(copy).join(), `one made up before entry ${index + 1}`).toMatch(new RegExp(`entry (${index + 1}|${index + 2}) of the chain`));
    }
  });

  it.each([
    ['step', ({ steps }: Evidence): unknown[] => steps], ['check', ({ checks }: Evidence): unknown[] => checks], ['decision', ({ gates }: Evidence): unknown[] => gates[0]?.decisions ?? []],
  ] as const)('names each %s that was dropped or added', (kind, listOf) => {
    const { length } = listOf(sealed);
    expect(length).toBeGreaterThan(1);
    for (let index = 0; index < length; index += 1) {
      for (const [how, change] of [['dropped', (list: unknown[]) => list.splice(index, 1)], ['added', (list: unknown[]) => list.splice(index, 0, structuredClone(list[index]))]] as const) {
        const copy = structuredClone(sealed);
        change(listOf(copy));
        expect(flawsOf(copy).join(), `${kind} ${index + 1} ${how}`).toMatch(new RegExp(how === 'dropped' ? `dropped ${kind} ${index + 1}\\b` : `added ${kind} (${index + 1}|${index + 2})\\b`));
      }
    }
  });

  it('refuses bytes that say the same in another form', () => {
    const pretty = new TextEncoder().encode(JSON.stringify(sealed, null, 2));
    expect(verifyChain(pretty).flaws).toMatchObject([{ what: 'notCanonical' }]);
    expect(verifyChain(new TextEncoder().encode(`${new TextDecoder().decode(bytes)}\n`)).flaws).toMatchObject([{ what: 'notCanonical' }]);
  });

  it.each([['nothing', ''], ['no JSON', 'hello'], ['a list', '[]'], ['evidence without a chain', JSON.stringify({ runbook: 'x' })], ['a prototype', '{"__proto__":{"chain":1}}']])('says of %s that it is no evidence, and throws nothing', (_title, text) => {
    expect(verifyChain(new TextEncoder().encode(text)).flaws).not.toEqual([]);
  });
});

it.each(['seal', 'salts', 'signature', 'entries'] as const)('a member __proto__ in the %s is seen', (place) => {
  const copy = structuredClone(signed);
  const { seal: its } = copy.chain;
  const holder = { seal: its, salts: its.salts, signature: its.signature, entries: its.entries[1] }[place];
  Object.defineProperty(holder, '__proto__', { value: { approvedBy: 'the CEO' }, enumerable: true });
  expect(flawsOf(copy)).not.toEqual([]);
});

describe('an empty list', () => {
  const bare = seal(sampleEvidence({ steps: [], gates: [{ ...sampleEvidence().gates[0] as Evidence['gates'][number], decisions: [] }], operations: [], checks: [], compensations: [] }), SEED);
  const flaws = (change: (evidence: Record<string, unknown> & { gates: Record<string, unknown>[] }) => void) => {
    const copy = structuredClone(bare) as unknown as Record<string, unknown> & { gates: Record<string, unknown>[] };
    change(copy);
    return flawsOf(copy);
  };
  it('verifies, and cannot become anything else, nor go', () => {
    expect(flaws(() => undefined)).toEqual([]);
    for (const list of ['steps', 'operations', 'checks', 'compensations']) {
      for (const forged of ['all passed', { 0: {} }, null, 0]) expect(flaws((evidence) => { evidence[list] = forged; }), list).toContain(`altered the list ${list}`);
      expect(flaws((evidence) => { delete evidence[list]; }), list).toContain(`dropped the list ${list}`);
    }
    expect(flaws((evidence) => { evidence.gates[0]!['decisions'] = { by: 'cfo', decision: 'approve' }; })).toContain('altered the decisions at gate 1');
    expect(flaws((evidence) => { delete evidence.gates[0]!['decisions']; })).toContain('dropped the decisions at gate 1');
  });
});

it('what is nested too deeply for anything to follow is unreadable, and no crash', () => {
  expect(verifyChain(new TextEncoder().encode(`{"plan":${'['.repeat(20_000)}${']'.repeat(20_000)}}`)).flaws).toMatchObject([{ what: 'unreadable' }]);
});

it.each([['/checks/', 'check ?'], ['/gates/1/decisions/', 'decision ? at gate 2'], ['/gates/', 'gate ?']] as const)('names a place %s with more digits than any number has as an unknown one: %s', (place, label) => {
  const kind = label.split(' ')[0] as 'check' | 'decision' | 'gate';
  expect(labelOf({ kind, of: `${place}${'9'.repeat(400)}` })).toBe(label);
});

describe('a redacted field', () => {
  const pointer = '/gates/0/decisions/0/reason';
  const published = redacted(pointer, '/plan', '/reason', '/steps/1/startedAt');

  it('keeps the chain verifiable, under the same head, and is named', () => {
    expect(verifyChain(bytesOf(published))).toEqual({ flaws: [], head: sealed.chain.seal.head, signature: null, entries: sealed.chain.seal.entries.length, redacted: expect.arrayContaining([pointer, '/plan', '/reason', '/steps/1/startedAt', '/chain/planHash', '/gates/0/planHash']) as string[] });
  });

  it.each(['/requester', '/reason', '/target', '/plan'])('takes the hashes of plans along, by which it could be guessed: %s', (one) => {
    const gone = { $redacted: expect.any(String) as string };
    expect(redacted(one)).toMatchObject({ chain: { planHash: gone }, gates: [{ planHash: gone }] });
    expect((redacted('/gates/0/decisions/0/reason') as unknown as Evidence).chain.planHash, 'no hash covers that').toBe((sealed as unknown as Evidence).chain.planHash);
  });

  it('is gone, with the salt that would let somebody guess it', () => {
    const gone = { $redacted: expect.any(String) as string };
    expect(published).toMatchObject({ plan: gone, chain: { planHash: gone } });
    expect((published as unknown as Evidence).gates[0]).toMatchObject({ planHash: gone });
    expect((published as unknown as Evidence).gates[0]?.decisions[0]).toMatchObject({ reason: gone });
    expect(new TextDecoder().decode(bytesOf(published))).not.toContain(SEED);
    const { salts } = published.chain.seal;
    expect(Object.keys('fields' in salts ? salts.fields : {})).not.toContain('4#/reason');
  });

  it('cannot be filled in with something else', () => {
    const forged = structuredClone(published) as unknown as { gates: { decisions: { reason: unknown }[] }[] };
    (forged.gates[0] as (typeof forged.gates)[number]).decisions[0] = { ...forged.gates[0]?.decisions[0], reason: 'nothing at all' };
    expect(flawsOf(forged)).toEqual(['altered decision 1 at gate 1']);
  });

  it('leaves salts of the fields that are there, and no place for any other text', () => {
    const forged = (name: string, value: unknown) => {
      const copy = structuredClone(published) as { chain: { seal: { salts: { fields: object } } } };
      // As a parser makes it: assigned, `__proto__` would be no member.
      Object.defineProperty(copy.chain.seal.salts.fields, name, { value, enumerable: true });
      return flawsOf(copy);
    };
    expect(forged('note: approved by the CEO', 'f'.repeat(64))).toEqual(['added the salts']);
    expect(forged('4#/reason', 'f'.repeat(64))).toEqual(['added the salts']);
    expect(forged('__proto__', { approvedBy: 'the CEO' })).toEqual(['added the salts']);
  });

  it('is refused where it is none of one entry', () => {
    expect(() => redact(sealed as unknown as Record<string, unknown>, sealed.chain.seal, ['/steps'])).toThrow('/steps is not within one entry');
    expect(() => redact(sealed as unknown as Record<string, unknown>, sealed.chain.seal, ['/plan/nothing'])).toThrow('there is no nothing');
  });
});

/** A list as a whole, and the members that are no part, stand for any of what is in them. */
function namesOf(name: string): string[] {
  const list = /^the list (.+)$/.exec(name)?.[1];
  if (list !== undefined) return [name, { steps: 'step', gates: 'gate', operations: 'operation', checks: 'check', compensations: 'compensation' }[list] ?? '', 'member'];
  if (name === 'the file') return ['the file', 'member', 'the end', 'the header', 'check', 'the chain'];
  return [name, 'member'];
}
