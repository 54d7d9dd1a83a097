import { type Client, escapeIdentifier } from 'pg';
import { numberingOf } from '../../activities/postgres/numbering.ts';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import type { Findings } from './doctor-finding.ts';
import { examineMaster } from './doctor-rds-master.ts';
import { examineDatabases, examineWal, withSource } from './doctor-source.ts';

/** Connects to a source that RDS runs and looks at what manifests and counting need of it. RDS archives by itself, and has no files for us. */
export async function examineRdsSource(settings: DatabaseSettings, findings: Findings): Promise<void> {
  await withSource(settings, findings, async (client) => {
    await examineWal(client, findings, 'set rds.logical_replication = 1 in the parameter group of the source, and reboot it');
    await examineRole(client, findings);
    if (settings.provider.kind === 'rds') await examineMaster(client, settings.provider, findings);
    await examineDatabases(client, findings);
    const { keepsTimes } = await numberingOf(client);
    if (keepsTimes) findings.ok('track_commit_timestamp', 'is on: lost transactions can be counted');
    else findings.warning('track_commit_timestamp', 'is off: lost transactions cannot be counted, RPA has an upper bound only, and of rows that the source has written since its manifest and a copy lacks nobody knows whether they were lost (notProven)', 'set track_commit_timestamp = 1 in the parameter group of the source, and reboot it');
  });
}

/** RDS gives the right to replicate by a role of its own. */
async function examineRole(client: Client, findings: Findings): Promise<void> {
  const { rows: [row] } = await client.query<{ name: string; replicates: boolean; reads: boolean; bypass: boolean }>(`
    SELECT rolname AS name, rolbypassrls AS bypass, pg_has_role(current_user, 'pg_read_all_data', 'USAGE') AS reads,
      rolreplication OR coalesce((SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = 'rds_replication'), false) AS replicates
    FROM pg_roles WHERE rolname = current_user`);
  if (!row) return;
  const quoted = escapeIdentifier(row.name);
  if (!row.replicates) findings.problem('role', `${row.name} may not make the slot that a manifest reads by`, `GRANT rds_replication TO ${quoted}`);
  if (!row.reads) findings.problem('role', `${row.name} may not read every table`, `GRANT pg_read_all_data TO ${quoted}`);
  if (!row.bypass) findings.warning('role', `${row.name} is subject to row-level policies: tables with one cannot be compared, unless they are its own`, `ALTER ROLE ${quoted} BYPASSRLS, where RDS lets you`);
  if (row.replicates && row.reads) findings.ok('role', `${row.name} may replicate and read every table`);
}
