import { lackOf } from '../../activities/evidence/copies.ts';
import { copyStore } from '../../activities/evidence/copy-stores.ts';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';
import { quote } from '../../contracts/quote.ts';

/** So many names are told; the rest is counted. */
const TOLD = 5;

/** Whether each place that evidence is copied to has all that this host's evidence directory has. Changes nothing. */
export async function examineCopies({ evidence }: Pick<Configuration, 'evidence'>): Promise<Finding[]> {
  const findings = new Findings('evidence');
  const store = directoryStore(evidence.directory);
  for (const setting of evidence.copies) {
    const copy = copyStore(setting);
    const isDirectory = 'directory' in setting;
    const name = `copy in ${copy.location}`;
    try {
      const { missing, other } = await lackOf(copy, store);
      if (missing.length > 0) findings.warning(name, `${missing.length} file(s) of ${store.location} are missing there: ${some(missing)}`, `a worker on this host copies them when it starts, and each hour${isDirectory ? `; or now: (cd ${quote(store.location)} && cp -rn . ${quote(copy.location)})` : ''}`);
      if (other.length > 0) findings.warning(name, `${other.length} file(s) there are not those of ${store.location}: ${some(other)}`, 'compare them with `runbook verify`: half a file was left by a writer that was killed, and a whole one is other evidence of the same run');
      if (missing.length === 0 && other.length === 0) findings.ok(name, `it has all that is in ${store.location}`);
    } catch (error) {
      findings.problem(name, `it cannot be looked at: ${messageOf(error)}`, `runs wait up to a day for it before they end; ${isDirectory ? 'mount it' : 'make it work'}, or take it out of evidence.copies`);
    }
  }
  return findings.all;
}

function some(names: readonly string[]): string {
  return names.length > TOLD ? `${names.slice(0, TOLD).join(', ')} and ${names.length - TOLD} more` : names.join(', ');
}
