import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderReport } from '../../activities/evidence/report.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { earlierRun, everywhere, sampleEvidence } from '../unit/report-fixture.ts';
import { startBrowser } from './browser.ts';
import { lookAtReport } from './report-page.ts';

let browser: Browser;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runbooks-reports-'));
  browser = await startBrowser();
});
afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

const WINDOWS = { wide: { width: 1200, height: 900 }, narrow: { width: 390, height: 844 } };
const LONG = `/srv/${'a-directory-whose-name-has-no-end'.repeat(6)}`;
const deep = (levels: number): unknown => (levels === 0 ? LONG : { member: [deep(levels - 1), LONG], [LONG]: levels });

const REPORTS: Record<string, Evidence> = {
  'a good run': sampleEvidence({ verdict: { restore: 'sound', rto: 'met', rpo: 'met' } }),
  'an unsound backup': sampleEvidence({ outcome: 'failed', verdict: { restore: 'unsound', rto: 'missed', rpo: 'missed' }, failure: { type: 'BACKUP_DAMAGED', message: LONG } }),
  'every text without end': everywhere(LONG, sampleEvidence()),
  'names without end': sampleEvidence({
    plan: deep(6), target: LONG, notVerified: [LONG], requester: LONG, checks: [{ name: LONG, outcome: 'failed', detail: LONG }],
    steps: [{ ...sampleEvidence().steps[0]!, name: LONG, summary: LONG, outcome: 'failed' }],
  }),
};

describe.each(Object.keys(REPORTS))('the report of %s', (name) => {
  it.each([['wide', 'light'], ['wide', 'dark'], ['narrow', 'light'], ['narrow', 'dark']] as const)('fits a %s window, %s, and asks for nothing', async (width, colorScheme) => {
    const evidence = REPORTS[name]!;
    const file = join(folder, `${name}.html`);
    await writeFile(file, renderReport(evidence, [earlierRun({}), earlierRun({ head: LONG })]));
    const look = await lookAtReport(browser, file, { viewport: WINDOWS[width], colorScheme });
    expect(look).toMatchObject({ requests: [], complaints: [], overflowing: [], scrollsBy: 0 });
    expect(look.background).toBe(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(20, 24, 29)');
    expect(look.bars).toHaveLength(evidence.steps.length + evidence.gates.length);
    expect(look.bars.filter((bar) => !bar.visible || bar.width < 1 || bar.height < 5)).toEqual([]);
  });
});

it('a report that asks for something, says something wrong or is too wide would be noticed', async () => {
  const file = join(folder, 'bad.html');
  await writeFile(file, renderReport(sampleEvidence()).replace(/<meta http-equiv.*\n/, '').replace('</h1>', '</h1><img src="http://example.invalid/x.png"><div style="width:1300px">wide</div>').replaceAll('<rect', '<rect opacity="0"'));
  const look = await lookAtReport(browser, file, { viewport: WINDOWS.wide });
  expect(look.requests).toEqual(['http://example.invalid/x.png']);
  expect(look.complaints.join()).toContain('ERR_FAILED');
  expect(look.overflowing).toContain('DIV: wide');
  expect(look.scrollsBy).toBeGreaterThan(0);
  expect(look.bars.every((bar) => bar.visible)).toBe(false);
});
