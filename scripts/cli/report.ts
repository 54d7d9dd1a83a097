import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { redact } from '../../activities/evidence/chain/redact.ts';
import { textOf } from '../../activities/evidence/chain/seal.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { loadConfiguration } from '../../workers/config.ts';
import { listEvidence, readEvidence, type StoredEvidence } from './evidence-files.ts';
import { renderText } from './evidence-text.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { print } from './output.ts';
import { ourCommand } from './printed-command.ts';

export interface ReportOptions extends TemporalOptions { redact?: string[] }

/** `runbook report`: the evidence of a file, or the newest of a workflow id or run id. */
export async function report(fileOrId: string, options: ReportOptions): Promise<ExitCode> {
  const { file, evidence } = await find(fileOrId, options);
  if (options.redact) {
    process.stdout.write(withoutValues(evidence, options.redact));
    return EXIT.done;
  }
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

/** The bytes of a file to hand on. @throws CommandError for what has no chain, and for what cannot be redacted alone */
function withoutValues(evidence: Evidence, pointers: readonly string[]): string {
  const { seal } = evidence.chain;
  if (!seal) throw new CommandError(EXIT.usage, 'this evidence has no chain, so nothing in it can be redacted; an older version wrote it');
  try {
    const { evidence: redacted, salts } = redact(evidence as unknown as Record<string, unknown>, seal.salts, pointers);
    return textOf({ ...redacted, chain: { ...evidence.chain, seal: { ...seal, salts } } });
  } catch (cause) {
    throw new CommandError(EXIT.usage, (cause as Error).message, { cause });
  }
}
