import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderReport } from '../../activities/evidence/report.ts';
import { renderPlan } from '../../activities/evidence/report-plan.ts';
import { rtaMethod } from '../../activities/evidence/report-recovery.ts';
import { formatBytes, formatSeconds } from '../../contracts/quantities.ts';
import { renderText } from '../../scripts/cli/evidence-text.ts';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import { NOTHING_SETTLED } from '../../contracts/record.ts';
import { earlierRun, everywhere, sampleEvidence } from './report-fixture.ts';

const HOSTILE = `"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;`;

describe('renderReport', () => {
  it('escapes whatever comes from outside, in every field', () => {
    const report = renderReport(everywhere(HOSTILE, sampleEvidence({ failure: { type: 'X', message: 'y' } })), [earlierRun({ workflowId: HOSTILE, runId: HOSTILE, head: HOSTILE })]);
    expect(report).toContain('&lt;script&gt;');
    expect(report).not.toMatch(/<script|<img|"><s/);
  });

  it('shows the runs before it, with what they came to and by which head they are found', () => {
    const report = renderReport(sampleEvidence(), [earlierRun({}), earlierRun({ outcome: 'failed', verdict: { restore: 'unsound', rto: null, rpo: null }, rta: null, rpaSeconds: null, head: null })]);
    expect(report).toContain('<td><span class="word ok">succeeded</span></td><td>restore <span class="word ok">sound</span>, RTO <span class="word ok">met</span>, RPO <span class="word bad">missed</span></td><td class="number" data-label="RTA">4 min 42 s, without waiting for people</td><td class="number" data-label="RPA">6 min 52 s</td>');
    expect(report).toContain(`<code>${'a'.repeat(64)}</code>`);
    expect(report).toContain('<td>restore <span class="word bad">unsound</span></td><td class="number" data-label="RTA">–</td>');
    expect(report).toContain('no part of this chain');
  });

  it('says what it means that a gate expired', () => {
    const [gate] = sampleEvidence().gates;
    for (const render of [renderReport, renderText]) {
      expect(render(sampleEvidence({ gates: [{ ...gate!, outcome: 'expired', onExpiry: 'approve' }] }))).toContain('an expired gate counts as approved here');
      expect(render(sampleEvidence())).not.toContain('an expired gate');
    }
  });

  it('says what a gate asked for, and how many rejections would have closed it', () => {
    const evidence = sampleEvidence();
    const [gate] = evidence.gates;
    const withRejections = (rejections: number) => ({ ...evidence, gates: [{ ...gate!, policy: { ...gate!.policy!, rejections } }] });
    expect(renderReport(withRejections(1))).toContain('; 1 rejection closes it; assurance claimed or better');
    expect(renderReport(withRejections(3))).toContain('; 3 rejections close it; assurance claimed or better');
  });

  it('needs no other file and runs no script', () => {
    const report = renderReport(sampleEvidence());
    expect(report).not.toMatch(/(src|href)=|@import|url\(|<script/);
    expect(report).toContain("default-src 'none'");
  });

  it.each(['6 min 20 s', 'actual, without waiting for people<b>4 min 42 s', 'This backup restores, but an objective was missed', 'an RTO of 1 h 00 min', '17 transactions lost', 'last commit of the source', 'unlogged table public.sessions', 'mallory may not decide here', 'principal', 'remove the copy', 'directory /var/drills/dr-1', 'no orphans', 'the host is &lt;b&gt;busy&lt;/b&gt;', 'its argument is not { &lt;gate&gt; }', '3 more were refused', 'erin, on behalf of bob', '<code>SHA256:0RcE2ahUkz (ED25519)</code>', 'erin may decide too', 'opened anew: the plan changed', 'another recovery point', 'reminded of', 'extended', '<td>retry step</td><td data-label="of">recover</td>', '{&quot;disk&quot;:2}', '<rect class="skipped"', '</span>skipped</span>', 'There is no evidence of an earlier dr-test on orders here'])('says %s', (text) => {
    expect(renderReport(sampleEvidence())).toContain(text);
  });

  it('draws the timeline to scale: a gate of 98 of 400 seconds takes 98/400 of the width', () => {
    const bars = [...renderReport(sampleEvidence()).matchAll(/<rect class="(\w+)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)].map(([, kind, x, width]) => ({ kind, x: Number(x), width: Number(width) }));
    const gate = bars.find(({ kind }) => kind === 'gate');
    const copy = bars.find(({ kind, width }) => kind === 'step' && Math.abs(width - 165) < 1);
    expect(bars).toHaveLength(6);
    expect(gate?.width).toBeCloseTo((98 / 400) * 660, 1);
    expect(copy?.x).toBeCloseTo((gate?.x ?? 0) + (gate?.width ?? 0), 1);
  });

  it.each([
    [{}, 'unsure'], [{ verdict: { restore: 'sound', rto: 'met', rpo: 'met' } }, 'ok'],
    [{ verdict: { restore: 'unsound', rto: null, rpo: null }, outcome: 'failed' }, 'bad'], [{ verdict: { restore: 'notProven', rto: null, rpo: null } }, 'unsure'],
    [{ verdict: { restore: 'sound', rto: 'met', rpo: 'met' }, teardown: { ...sampleEvidence().teardown, outcome: 'failed', provenAbsent: false } }, 'bad'],
  ] as [Partial<Evidence>, string][])('shows a banner that does not flatter: case %#', (changes, tone) => {
    expect(renderReport(sampleEvidence(changes))).toContain(`class="banner ${tone}"`);
  });

  const LEFT = { ...sampleEvidence().teardown, outcome: 'failed', provenAbsent: false, failure: 'closeDrillPlace: EPERM: operation not permitted' } as const;
  it.each([
    ['sound', 'The teardown failed: what the run created may still be there'], ['unsound', 'This backup cannot be trusted, and the teardown failed'],
  ] as const)('says in its headline that a %s run left something behind, and why', (restore, headline) => {
    const evidence = sampleEvidence({ verdict: { restore, rto: 'met', rpo: 'met' }, teardown: LEFT });
    expect(renderReport(evidence)).toContain(`<h1>${headline}</h1>`);
    expect(renderReport(evidence)).toContain('<b>Teardown failed:</b> what the run created may still be there: closeDrillPlace: EPERM');
    expect(renderText(evidence)).toMatch(/TEARDOWN FAILED.*: what the run created may still be there: closeDrillPlace: EPERM/);
  });

  it('claims no look where nothing was created, and no comparison where none took place', () => {
    const evidence = sampleEvidence({ outcome: 'failed', teardown: NOTHING_SETTLED.teardown, notVerified: [], steps: [], requester: null });
    for (const text of [renderReport(evidence), renderText(evidence)]) {
      expect(text).toContain('nothing was created');
      expect(text).toContain('nothing was compared: the run ended before');
      expect(text).not.toMatch(/absence|should have been verified/);
    }
    expect(renderReport(evidence)).toContain('<dt>requested by</dt><dd>not named</dd>');
  });

  const unsound = evidenceSchema.parse(JSON.parse(readFileSync(new URL('../replay/evidence/dr-test-unsound.json', import.meta.url), 'utf8')));
  const stepsUpTo = (name: string) => unsound.steps.slice(0, unsound.steps.findIndex((step) => step.name === name) + 1);
  const withoutFailed = unsound.checks.filter(({ outcome }) => outcome !== 'failed');
  const NOTHING_COMPARED = 'nothing was compared: the run ended before';
  it.each<[string, Partial<Evidence>]>([
    ['of a drill that found a difference', {}],
    ['of a drill whose only comparison found a difference, and that ended then', { steps: stepsUpTo('compare shop').filter(({ name }) => name !== 'compare postgres') }],
    ['of a drill that ended after its first comparison', { steps: stepsUpTo('replay to the manifest of shop'), checks: withoutFailed }],
    ['of a drill that had no manifest, and came to its end', { steps: unsound.steps.filter(({ name }) => !/compare|manifest/.test(name)) }],
    ['of another runbook, which compares nothing', { runbook: 'backup', steps: stepsUpTo('plan'), checks: [] }],
    ['of a drill that succeeded', { outcome: 'succeeded' }],
  ])('does not say that nothing was compared: %s', (_of, changes) => {
    for (const text of [renderReport({ ...unsound, ...changes }), renderText({ ...unsound, ...changes })]) expect(text).not.toContain(NOTHING_COMPARED);
  });

  it.each<[string, Partial<Evidence>]>([
    ['ended before', { steps: stepsUpTo('copy'), checks: withoutFailed }],
    ['broke', { steps: stepsUpTo('compare shop').filter(({ name }) => name !== 'compare postgres'), checks: withoutFailed }],
  ])('says that nothing was compared where the comparison %s', (_how, changes) => {
    for (const text of [renderReport({ ...unsound, ...changes }), renderText({ ...unsound, ...changes })]) expect(text).toContain(NOTHING_COMPARED);
  });

  it('does not blame the backup where only what was asked for beside the comparison failed', () => {
    const failed = (name: string) => ({ name, outcome: 'failed' as const, detail: 'd' });
    const evidence = sampleEvidence({ outcome: 'failed', verdict: { restore: 'unsound', rto: 'met', rpo: 'met' }, plan: { checks: [{ name: 'totals' }], heartbeat: { table: 'beat' } }, checks: [failed('totals'), failed('application probe'), failed('heartbeat beat')] });
    expect(renderReport(evidence)).toContain('Restored, and a check that you asked for failed');
    for (const checks of [[...evidence.checks, failed('table orders')], []]) expect(renderReport({ ...evidence, checks })).toContain('This backup cannot be trusted');
  });

  it('renders the evidence of a run that died before its first step', () => {
    const evidence = sampleEvidence({ steps: [], gates: [], recovery: null, plan: null, checks: [], compensations: [], finishedAt: sampleEvidence().startedAt, outcome: 'terminated' });
    expect(renderReport(evidence)).toContain('ended before its first step');
    expect(renderReport(evidence)).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('renderPlan', () => {
  it('prints durations and sizes with their units', () => {
    const { text } = renderPlan({ objectives: { rto: 120_000, rpo: 60_000 }, predicted: { bytes: 1_536_000_000, seconds: 12 }, recoveryPoint: { sizeBytes: 812, timeline: 3 } });
    for (const part of ['<dt>rto</dt><dd>2 min 00 s</dd>', '<dd>1 min 00 s</dd>', '<dd>1.54 GB</dd>', '<dd>12.0 s</dd>', '<dd>812 B</dd>', '<dd>3</dd>']) expect(text).toContain(part);
  });
});

describe('the words of the recovery time', () => {
  const probed = (outcome: 'passed' | 'failed' | 'skipped') => [{ name: 'application probe', outcome, detail: 'd' }];
  it.each([['passed', 'to the application probe passing'], ['failed', 'to the end of the application probe, which failed'], ['skipped', 'to the end of the application probe, which had no answer']] as const)('say what became of a probe that %s', (outcome, words) => {
    expect(rtaMethod({ plan: { probe: { command: ['true'] } }, checks: probed(outcome) })).toContain(words);
  });
  it('say that none is configured', () => {
    expect(rtaMethod({ plan: { probe: null }, checks: probed('skipped') })).toContain('to the end of the checks, since no application probe is configured');
  });
  it('name what a figure leaves out: both, where it is without the comparison', () => {
    const evidence = sampleEvidence({ plan: { objectives: { rtaIs: 'withoutComparison' } } });
    for (const text of [renderText(evidence), renderReport(evidence)]) expect(text).toContain('without waiting or comparison 5 min 00 s');
    expect(renderText(evidence)).toContain('RTA 5 min 00 s, without waiting or comparison; RTO');
  });
});

describe('renderText', () => {
  it('says everything that the issue asks for', () => {
    const text = renderText(sampleEvidence(), { paths: { evidence: '/e/a.json', report: '/e/a.html' } });
    expect(text).toMatch(/Refused\n {2}approve at .*\n {2}reject at .*: its argument is not .*\n {2}3 more/);
    for (const part of ['copying', '100.000 s', 'RTA 4 min 42 s, without waiting for people; RTO 1 h 00 min', 'in all 6 min 20 s', 'RPA 6 min 52 s, 17 transactions lost', 'measured: last commit', 'no orphans: expected 0, got 3', 'unlogged table', 'destroyed directory', 'nothing there', 'escalated: erin may decide too', 'approve by erin, on behalf of bob (signature, SHA256:0RcE2ahUkz (ED25519), named the plan) counted', 'retry step of recover by dora: another disk ({"disk":2})', '/e/a.json', '/e/a.html']) expect(text).toContain(part);
  });

  it('lets no escape sequence of a name reach the terminal', () => {
    expect(renderText(sampleEvidence({ notVerified: ['\u001B]0;owned\u0007'] }))).not.toContain('\u001B]0');
  });
});

describe('numbers for people', () => {
  it.each([[0, '0.00 s'], [9.994, '9.99 s'], [9.996, '10.0 s'], [59.94, '59.9 s'], [59.96, '1 min 00 s'], [3599.7, '1 h 00 min'], [7325, '2 h 02 min'], [90_000, '1 d 1 h'], [-2, '-2.00 s']])('writes %d seconds as %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
  it.each([[0, '0 B'], [999, '999 B'], [1000, '1.00 kB'], [1_536_000_000, '1.54 GB'], [999_999_999, '1.00 GB']])('writes %d bytes as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
