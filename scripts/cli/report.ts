import { access } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { redact } from '../../activities/evidence/chain/redact.ts';
import { textOf } from '../../activities/evidence/chain/seal.ts';
import { verifyChain } from '../../activities/evidence/chain/verify.ts';
import { copyStores } from '../../activities/evidence/copy-stores.ts';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { echoesOf } from '../../activities/evidence/echoes.ts';
import { earlierRuns, type EarlierRun } from '../../activities/evidence/earlier-runs.ts';
import { renderReport } from '../../activities/evidence/report.ts';
import { renderMarkdown } from '../../activities/evidence/report-markdown.ts';
import { standingOf, type Standing } from '../../activities/evidence/standing.ts';
import { BY_HEAD, nameByHead, namesOf, type EvidenceStore } from '../../activities/evidence/store.ts';
import { sealSchema, sha256Schema } from '../../contracts/chain.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { loadConfiguration } from '../../workers/config.ts';
import { listEvidence, parseEvidence, readBytes } from './evidence-files.ts';
import { renderText } from './evidence-text.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { note, plain, print } from './output.ts';
import { ourCommand } from './printed-command.ts';

/** `json` is for programs, with what verifying it found; the others are for people to read, and to hand on. */
export type ReportFormat = 'json' | 'markdown' | 'html';
/** `redact`: JSON pointers (RFC 6901) to what is left out; the chain verifies all the same. */
export interface ReportOptions extends TemporalOptions { redact?: string[]; format?: ReportFormat }

/** `runbook report`: the evidence of a file, the newest of a workflow id or run id, or the one with a head; with the runs before it. Ends with 1 where the file is not as it was written, or text of what is redacted stands elsewhere in it, too. */
export async function report(fileOrId: string, options: ReportOptions): Promise<ExitCode> {
  const format = formatOf(options);
  const { file, bytes = await readBytes(file), store = directoryStore(homeOf(file)) } = await find(fileOrId, options);
  // What is shown is made of the very bytes that are verified.
  const evidence = parseEvidence(bytes, file);
  if (options.redact) {
    const whole = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const redacted = withoutValues(whole, options.redact);
    process.stdout.write(redacted);
    const echoes = echoesOf(whole, JSON.parse(redacted) as Record<string, unknown>);
    for (const { of, standsIn } of echoes) note(`runbook: text of ${plain(of)} still stands in ${standsIn.map(plain).join(', ')}; redact these too, unless they may be known`);
    return echoes.length === 0 ? EXIT.done : EXIT.failed;
  }
  const standing = standingOf(verifyChain(bytes));
  const exitCode = standing.holds ? EXIT.done : EXIT.failed;
  // Where its own start was redacted, nobody knows what was before.
  const earlier = Number.isNaN(Date.parse(evidence.startedAt)) ? [] : await earlierRuns(store, evidence);
  if (format === 'markdown' || format === 'html') {
    process.stdout.write(RENDER[format](evidence, earlier, standing));
    return exitCode;
  }
  const beside = file.replace(/\.json$/, '.html');
  const isBeside = beside !== file && await access(beside).then(() => true, () => false);
  const { report: name } = namesOf(evidence);
  const htmlFile = isBeside ? beside : await store.get(name).catch(() => undefined) === undefined ? undefined : store.locate(name);
  const paths = { evidence: file, ...(htmlFile === undefined ? {} : { report: htmlFile }) };
  print({ ...options, json: format === 'json' }, { standing, paths, evidence, earlierRuns: earlier }, () => [renderText(evidence, { paths, earlier, standing })]);
  return exitCode;
}

const RENDER = { markdown: renderMarkdown, html: renderReport } satisfies Partial<Record<ReportFormat, (evidence: Evidence, earlier: readonly EarlierRun[], standing: Standing) => string>>;

/** @throws CommandError where options ask for different things */
function formatOf({ format, json, redact }: ReportOptions): ReportFormat | undefined {
  if (json && format !== undefined && format !== 'json') throw new CommandError(EXIT.usage, `--json and --format ${format} ask for different things; leave one out`);
  if (redact && format !== undefined && format !== 'json') throw new CommandError(EXIT.usage, '--redact prints the file of evidence, which is JSON; leave out --format');
  return json ? 'json' : format;
}

/** The directory that a file of evidence belongs to, also by the name that is made of its head. */
function homeOf(file: string): string {
  const directory = dirname(file);
  return basename(directory) === BY_HEAD ? dirname(directory) : directory;
}

/** Where the evidence is. `bytes`, `store`: where it is not a file of the directory that it lies in. */
interface Found { file: string; bytes?: Uint8Array; store?: EvidenceStore }

async function find(fileOrId: string, { config, ...flags }: TemporalOptions): Promise<Found> {
  // The report lies beside the evidence: either names the run.
  const file = resolve(fileOrId).replace(/\.html$/, '.json');
  if (await access(file).then(() => true, () => false)) return { file };
  if (/\.(json|html)$/.test(fileOrId)) throw new CommandError(EXIT.usage, `there is no file ${fileOrId}`);
  const { configuration } = await loadConfiguration(config);
  if (sha256Schema.safeParse(fileOrId.toLowerCase()).success) return findByHead(fileOrId.toLowerCase(), configuration.evidence);
  const { found } = await listEvidence(configuration.evidence.directory);
  const stored = found.find(({ evidence }) => evidence.workflowId === fileOrId || evidence.runId === fileOrId);
  if (!stored) throw new CommandError(EXIT.usage, `there is no evidence of "${fileOrId}" in ${configuration.evidence.directory}; a run writes it when it ends, \`${ourCommand(flags, 'status', fileOrId)}\` shows where it is`);
  return { file: stored.file };
}

/** Here, or in a copy. */
async function findByHead(head: string, evidence: Configuration['evidence']): Promise<Found> {
  const stores = [directoryStore(evidence.directory), ...copyStores({ evidence })];
  const failures: string[] = [];
  for (const store of stores) {
    const text = await store.get(nameByHead(head)).catch((error: Error) => { failures.push(`${store.location} could not be looked at: ${error.message}`); });
    const file = store.locate(nameByHead(head));
    if (text !== undefined) return { file, bytes: new TextEncoder().encode(text), store };
  }
  throw new CommandError(EXIT.usage, [`there is no evidence with this head in ${stores.map(({ location }) => location).join(', ')}; evidence of older versions is not kept by its head`, ...failures].join('\n'));
}

/** The bytes of a file to hand on. @throws CommandError for what has no chain, and for what cannot be redacted alone */
function withoutValues(evidence: Record<string, unknown>, pointers: readonly string[]): string {
  const seal = sealSchema.safeParse((evidence['chain'] as { seal?: unknown } | undefined)?.seal).data;
  if (!seal) throw new CommandError(EXIT.usage, 'this evidence has no chain, so nothing in it can be redacted; an older version wrote it');
  try {
    const { evidence: redacted, salts } = redact(evidence, seal, pointers);
    const text = textOf({ ...redacted, chain: { ...redacted['chain'] as object, seal: { ...seal, salts } } });
    // What is handed on must be what it says that it is.
    const { flaws } = verifyChain(new TextEncoder().encode(text));
    if (flaws[0]) throw new Error(`without these values the chain would no longer verify (${flaws[0].part}: ${flaws[0].detail}); nothing was printed`);
    return text;
  } catch (cause) {
    throw new CommandError(EXIT.usage, (cause as Error).message, { cause });
  }
}
