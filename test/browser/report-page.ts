import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { openPage } from './browser.ts';

/** What a browser says about a report. */
export interface ReportLook {
  /** Addresses that were asked for, besides the report itself. */
  requests: string[];
  /** Errors and warnings: of the console and of scripts. */
  complaints: string[];
  /** Elements that reach beyond the right edge of the window, and how far the page itself scrolls sideways. */
  overflowing: string[];
  scrollsBy: number;
  /** Bars of the timeline, with what is really drawn in the middle of each. */
  bars: { kind: string; width: number; height: number; visible: boolean }[];
  background: string;
}

/** The timeline scrolls by itself in a narrow window; everything else must fit. */
const OVERFLOWING = `[...document.body.querySelectorAll('*')].filter((element) => !element.closest('.timeline svg') && element.getBoundingClientRect().right > innerWidth + 0.5)
  .map((element) => element.tagName + ': ' + element.textContent.slice(0, 40))`;

const BARS = `[...document.querySelectorAll('svg rect')].map((bar) => {
  bar.scrollIntoView({ block: 'center', inline: 'center' });
  const box = bar.getBoundingClientRect();
  const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const { fill, opacity, visibility } = getComputedStyle(bar);
  return { kind: bar.getAttribute('class'), width: box.width, height: box.height,
    visible: there === bar && fill !== 'none' && fill !== getComputedStyle(document.body).backgroundColor && opacity === '1' && visibility === 'visible' };
})`;

/** Opens a report from its file, as somebody does who got it by mail. */
export async function lookAtReport(browser: Browser, file: string, options: BrowserContextOptions): Promise<ReportLook> {
  const page = await openPage(browser, options);
  try {
    const address = pathToFileURL(file).href;
    const requests: string[] = [];
    const complaints: string[] = [];
    await page.route('**/*', (route) => (route.request().url() === address ? route.continue() : route.abort()));
    page.on('request', (request) => { if (request.url() !== address) requests.push(request.url()); });
    page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(address);
    const overflowing = await page.evaluate<string[]>(OVERFLOWING);
    const scrollsBy = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
    const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    const bars = await page.evaluate<ReportLook['bars']>(BARS);
    return { requests, complaints, overflowing, scrollsBy, bars, background };
  } finally {
    await page.context().close();
  }
}
