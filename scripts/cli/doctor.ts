import { loadConfiguration } from '../../workers/config.ts';
import { Findings, type Finding } from './doctor-finding.ts';
import { examineBackups } from './doctor-backups.ts';
import { examineCopies } from './doctor-copies.ts';
import { examineChannels } from './doctor-channels.ts';
import { examineHost } from './doctor-host.ts';
import { examineRds } from './doctor-rds.ts';
import { examineRdsSource } from './doctor-rds-source.ts';
import { examineSigners } from './doctor-signers.ts';
import { examineSnapshots } from './doctor-snapshots.ts';
import { examineSource, isElsewhere } from './doctor-source.ts';
import { examineTemporal } from './doctor-temporal.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { coloured, plain, print } from './output.ts';

/**
 * `runbook doctor`: looks at everything a run needs and says what to do about each finding. Changes nothing. Ends with
 * 1 when something would make a run fail or is left of one; an invalid configuration is reported alone, since the rest depends on it.
 */
export async function doctor(options: TemporalOptions): Promise<ExitCode> {
  const { configuration, file, warnings } = await loadConfiguration(options.config);
  const own = new Findings('configuration');
  own.ok('file', `${file} is valid, with ${Object.keys(configuration.databases).length} database(s)`);
  for (const warning of warnings) own.warning('file of a secret', warning.split('; ')[0] ?? warning, warning.split('; ')[1] ?? 'see above');
  const databases = Object.entries(configuration.databases).map(async ([name, settings]) => {
    const findings = new Findings(name);
    const { provider } = settings;
    if (provider.kind === 'rds') {
      await examineRdsSource(settings, findings);
      await examineRds({ database: name, provider, network: configuration.drills.network }, findings);
      if (provider.snapshots) await examineSnapshots({ database: name, provider, settings: provider.snapshots }, findings);
      return findings.all;
    }
    const facts = await examineSource(settings, findings);
    if (isElsewhere(settings.host)) findings.skipped('backups', `lie on ${settings.host}: run this there`);
    else await examineBackups(settings, configuration, facts, findings);
    return findings.all;
  });
  const groups = await Promise.all([examineTemporal(options, configuration), examineHost(configuration), examineCopies(configuration), examineChannels(configuration), examineSigners(configuration), ...databases]);
  const findings = bySubject([...own.all, ...groups.flat()]);
  const problems = findings.filter(({ outcome }) => outcome === 'problem').length;
  print(options, { file, problems, findings }, () => findingLines(findings));
  return problems > 0 ? EXIT.failed : EXIT.done;
}

/** Several look at one subject; people read it in one piece. */
function bySubject(findings: readonly Finding[]): Finding[] {
  const subjects = [...new Set(findings.map(({ about }) => about))];
  return subjects.flatMap((subject) => findings.filter(({ about }) => about === subject));
}

const MARKS = { ok: ['✓', 'ok'], warning: ['!', 'unsure'], problem: ['✗', 'bad'], skipped: ['-', 'soft'] } as const;

/** Findings by subject, each with what to do about it, and a last line that sums up. */
export function findingLines(findings: readonly Finding[]): string[] {
  const lines: string[] = [];
  let about = '';
  for (const finding of findings) {
    if (finding.about !== about) {
      about = finding.about;
      lines.push(...(lines.length > 0 ? [''] : []), about);
    }
    const [mark, tone] = MARKS[finding.outcome];
    lines.push(`  ${coloured(mark, tone)} ${plain(finding.name)}: ${plain(finding.detail)}`);
    if (finding.todo !== null) lines.push(`      → ${plain(finding.todo)}`);
  }
  const problems = findings.filter(({ outcome }) => outcome === 'problem').length;
  const warnings = findings.filter(({ outcome }) => outcome === 'warning').length;
  return [...lines, '', problems === 0 && warnings === 0 ? 'All is well.' : `${problems} problem(s), ${warnings} warning(s).`];
}
