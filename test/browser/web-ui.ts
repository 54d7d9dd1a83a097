import type { Page } from 'playwright-core';

/** One run, as the web UI addresses it. */
export interface RunAddress { workflowId: string; runId: string }

/** What a person does and sees in Temporal's web UI. */
export class WebUi {
  readonly #page: Page;
  readonly #base: string;

  constructor(page: Page, uiAddress: string) {
    this.#page = page;
    this.#base = `${uiAddress}/namespaces/default/workflows`;
  }

  /** "Start Workflow" with nothing in its input. */
  async startWorkflow({ workflowId, type, taskQueue }: { workflowId: string; type: string; taskQueue: string }): Promise<RunAddress> {
    const page = this.#page;
    await page.goto(`${this.#base}/start-workflow`);
    await page.getByRole('textbox', { name: 'Workflow ID' }).fill(workflowId);
    await page.getByRole('textbox', { name: 'Task Queue' }).fill(taskQueue);
    await page.getByRole('textbox', { name: 'Workflow Type' }).fill(type);
    await page.getByRole('main').getByRole('button', { name: 'Start Workflow' }).click();
    const link = await page.getByRole('link', { name: 'Workflow started successfully' }).getAttribute('href');
    const runId = link?.split('/').at(-2);
    if (!runId) throw new Error(`the web UI's link to the run has another form: ${link}`);
    return { workflowId, runId };
  }

  /** Opens a run's page: its timeline, history or current details. */
  async open({ workflowId, runId }: RunAddress, tab: 'timeline' | 'history?per-page=250' | 'user-metadata' = 'timeline'): Promise<void> {
    await this.#page.goto(`${this.#base}/${encodeURIComponent(workflowId)}/${runId}/${tab}`);
    await this.#page.getByRole('heading', { level: 1 }).waitFor();
  }

  /** "Send a Signal" on the run's page, chosen from the list; without `input`, the form stays empty. */
  async sendSignal(run: RunAddress, name: string, input?: string): Promise<void> {
    // A page that sent one signal already shows its dialog in the state of the last.
    await this.open(run);
    await this.#page.getByRole('button', { name: 'More Actions' }).click();
    await this.#page.getByRole('menuitem', { name: 'Send a Signal' }).click();
    const dialog = this.#page.getByRole('dialog', { name: 'Send a Signal' });
    const submit = dialog.getByRole('button', { name: 'Submit' });
    await dialog.getByRole('button', { name: 'Select a signal' }).click();
    // The name is followed by what the workflow says about the signal.
    await dialog.getByRole('option', { name: new RegExp(`^${name} \\S`) }).click();
    if (input !== undefined) {
      await dialog.getByRole('textbox').last().fill(input);
      // Leaving the editor formats the text, which would move the button away from a click under way.
      await submit.focus();
    }
    await submit.click();
    await dialog.waitFor({ state: 'hidden' });
  }

  /** The run's current details as they stand now, as a person reads them. */
  async currentDetails(run: RunAddress): Promise<string> {
    await this.open(run, 'user-metadata');
    return this.#page.frameLocator('iframe').locator('body').innerText();
  }

  /** Whole text of the page that is open. */
  async text(): Promise<string> {
    return this.#page.getByRole('main').innerText();
  }

  /** Names of the bars in the timeline, such as `copyBackup • copy`. */
  async timelineLabels(run: RunAddress): Promise<string[]> {
    await this.open(run);
    const bars = this.#page.getByRole('main').locator('svg [role="button"]');
    await bars.nth(1).waitFor();
    return bars.allTextContents();
  }

  /** The rows of the event history in which an activity or a timer begins, each in one line. */
  async beginnings(run: RunAddress): Promise<string[]> {
    await this.open(run, 'history?per-page=250');
    await this.#page.getByRole('row', { name: /^1 .*Workflow Execution Started/ }).waitFor();
    const rows = await this.#page.getByRole('row').allInnerTexts();
    return rows.map((row) => row.replaceAll(/\s+/g, ' ')).filter((row) => /Activity Task Scheduled|Timer Started/.test(row));
  }
}
