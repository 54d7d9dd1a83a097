import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { loadConfiguration } from '../../workers/config.ts';
import { listEvidence, readEvidence, type StoredEvidence } from './evidence-files.ts';
import { renderText } from './evidence-text.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { print } from './output.ts';
import { ourCommand } from './printed-command.ts';

/** `runbook report`: the evidence of a file, or the newest of a workflow id or run id. */
export async function report(fileOrId: string, options: TemporalOptions): Promise<ExitCode> {
  const { file, evidence } = await find(fileOrId, options);
  const htmlFile = file.replace(/\.json$/, '.html');
  const hasHtml = await access(htmlFile).then(() => htmlFile !== file, () => false);
  const paths = { evidence: file, ...(hasHtml ? { report: htmlFile } : {}) };
  print(options, { paths, evidence }, () => [renderText(evidence, paths)]);
  return EXIT.done;
}

async function find(fileOrId: string, { config, ...flags }: TemporalOptions): Promise<StoredEvidence> {
  // The report lies beside the evidence: either names the run.
  const file = resolve(fileOrId).replace(/\.html$/, '.json');
  if (await access(file).then(() => true, () => false)) return { file, evidence: await readEvidence(file) };
  if (/\.(json|html)$/.test(fileOrId)) throw new CommandError(EXIT.usage, `there is no file ${fileOrId}`);
  const { configuration } = await loadConfiguration(config);
  const { found } = await listEvidence(configuration.evidence.directory);
  const stored = found.find(({ evidence }) => evidence.workflowId === fileOrId || evidence.runId === fileOrId);
  if (!stored) throw new CommandError(EXIT.usage, `there is no evidence of "${fileOrId}" in ${configuration.evidence.directory}; a run writes it when it ends, \`${ourCommand(flags, 'status', fileOrId)}\` shows where it is`);
  return stored;
}
