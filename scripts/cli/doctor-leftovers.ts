import { findDrills } from '../../activities/archive-provider/sweep-places.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Connected } from './connect.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';

const NAME = 'left-over drills';

/** Drills on this host that nobody guards any more, as far as this server knows: copies of production that should be gone. */
export async function examineLeftovers({ client }: Pick<Connected, 'client'>, configuration: Configuration): Promise<Finding[]> {
  const findings = new Findings('host');
  try {
    const found = await findDrills({ client, configuration, onStuck: (place, error) => reportUnseen(findings, place, error) });
    for (const { place, workflowId, guardian, isAbandoned, overdueAt } of found) {
      const what = `${place} is still there, and ${guardian === 'unknown' ? `this server does not know its run ${workflowId}` : `its run ${workflowId} is over`}; it may hold a copy of production`;
      if (isAbandoned) findings.problem(NAME, what, 'a worker on this host removes it within a minute; if it stays, the log of the worker says why');
      else if (guardian === 'unknown') findings.warning(NAME, what, `start the server that knows it (\`runbook dev\` with the same configuration and port), or ask that with --address; a worker on this host removes it after ${overdueAt.toISOString()}`);
    }
    if (findings.all.length === 0) findings.ok(NAME, `there is none in ${configuration.drills.directory}`);
  } catch (error) {
    findings.skipped(NAME, `the server does not say which runs are over: ${messageOf(error)}`);
  }
  return findings.all;
}

/** Only the user of the worker can list the drills of others; what that user could not read either, no worker will remove. */
function reportUnseen(findings: Findings, place: string, error: Error): void {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') findings.skipped(NAME, `${place} cannot be looked at as this user: ask as the user of the worker (${messageOf(error)})`);
  else findings.warning(NAME, `${place} cannot be looked at, and may hold a copy of production: ${messageOf(error)}`, 'look there yourself: a worker removes only what says which run it belongs to');
}
