import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { CHROMIUM_MISSING, findChromium } from './find-chromium.ts';

/** As root, Chromium starts only without its sandbox; the other switches keep it from calling home. */
const SWITCHES = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A page loads hundreds of small files, which takes a loaded machine many seconds. */
const PATIENCE_MS = 30_000;

/** Starts the Chromium of this machine. It ends with this process, too. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(CHROMIUM_MISSING);
  return chromium.launch({ executablePath, args: SWITCHES });
}

/** A page of its own, in a context of its own. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE_MS);
  return context.newPage();
}
