import { findAbandonedPlaces } from '../../activities/archive-provider/sweep-places.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Connected } from './connect.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';

/** Drills on this host that nobody guards any more: copies of production that should be gone. */
export async function examineLeftovers({ client }: Pick<Connected, 'client'>, configuration: Configuration): Promise<Finding[]> {
  const findings = new Findings('host');
  const name = 'left-over drills';
  try {
    const found = await findAbandonedPlaces({ client, configuration });
    for (const { place, workflowId } of found) {
      findings.problem(name, `${place} is still there, and its run ${workflowId} is over; it may hold a copy of production`, 'a worker on this host removes it within a minute; if it stays, the log of the worker says why');
    }
    if (found.length === 0) findings.ok(name, `there is none in ${configuration.drills.directory}`);
  } catch (error) {
    findings.skipped(name, `the server does not say which runs are over: ${messageOf(error)}`);
  }
  return findings.all;
}
