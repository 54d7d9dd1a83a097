import { readFile, stat } from 'node:fs/promises';
import { whyNoSignatures } from '../../activities/kernel/verify-signature.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';

/** A type of key and the beginning of one, after whose it is and what it may be used for. */
const KEY = /(?:^|\s)(?:ssh|ecdsa|sk)-[\w@.-]+\s+AAAA[\w+/=]+(?:\s|$)/;

const LABEL = 'allowed signers';

/**
 * Whether signed decisions could be checked here: by `ssh-keygen`, and by the keys of the file that lists whose count. A
 * worker on another host has its own. Nothing is looked at where no gate asks for signatures and no file is configured.
 */
export async function examineSigners({ approvals: { allowedSigners }, databases }: Pick<Configuration, 'approvals' | 'databases'>): Promise<Finding[]> {
  const findings = new Findings('approvals');
  const isNeeded = Object.values(databases).some(({ gates }) => Object.values(gates).some(({ assurance }) => assurance === 'signature'));
  if (!isNeeded && allowedSigners === undefined) return [];
  // Where no gate asks for one, a signature is only worth less than it could be.
  const report = isNeeded ? findings.problem.bind(findings) : findings.warning.bind(findings);
  const why = await whyNoSignatures();
  if (why === null) findings.ok('ssh-keygen', 'it can verify signatures');
  else report('ssh-keygen', `no signature can be checked on this host: ${why}`, 'install an OpenSSH client of version 8.2 or newer, on each host whose worker takes the task queue of runs');
  if (allowedSigners === undefined) return findings.all;
  try {
    await examineFile(allowedSigners, findings, report);
  } catch (error) {
    report(LABEL, `${allowedSigners} cannot be read (${(error as NodeJS.ErrnoException).code ?? messageOf(error)}), so that no signature counts`, 'name a file that the worker can read under approvals.allowedSigners');
  }
  return findings.all;
}

async function examineFile(file: string, findings: Findings, report: Findings['problem']): Promise<void> {
  const lines = (await readFile(file, 'utf8')).split('\n').map((line, index) => ({ text: line.trim(), number: index + 1 })).filter(({ text }) => text !== '' && !text.startsWith('#'));
  const without = lines.filter(({ text }) => !KEY.test(text));
  const count = lines.length - without.length;
  const form = 'write a line for each key as the manual of ssh-keygen says under ALLOWED SIGNERS: NAME namespaces="approval@durable-runbooks" ssh-ed25519 AAAA…';
  const listed = `${file} lists ${count} ${count === 1 ? 'key' : 'keys'}`;
  if (count === 0) report(LABEL, `${file} lists no key, so that no signature counts`, form);
  else if (without.length > 0) findings.warning(LABEL, `${listed}; ${without.length === 1 ? 'line' : 'lines'} ${without.map(({ number }) => number).join(', ')} ${without.length === 1 ? 'holds' : 'hold'} none`, form);
  else findings.ok(LABEL, listed);
  const { mode } = await stat(file);
  if ((mode & 0o022) !== 0) findings.warning(LABEL, `others than its owner may write ${file}: whose keys it lists decides at gates`, `chmod go-w ${file}`);
}
