import type { LabCall } from '../../support/aws-lab-control.ts';

/** What is changed, made or removed by a call: the parameter that names it. */
const SUBJECT: Readonly<Record<string, string>> = {
  RestoreDBInstanceFromDBSnapshot: 'DBInstanceIdentifier', RestoreDBInstanceToPointInTime: 'TargetDBInstanceIdentifier',
  ModifyDBInstance: 'DBInstanceIdentifier', DeleteDBInstance: 'DBInstanceIdentifier',
  CreateDBParameterGroup: 'DBParameterGroupName', CopyDBParameterGroup: 'TargetDBParameterGroupIdentifier', ModifyDBParameterGroup: 'DBParameterGroupName', DeleteDBParameterGroup: 'DBParameterGroupName',
};
/** What happens once to each thing that a drill makes. A setting may be set again. */
const ONCE = /^(Restore|Create|Copy|Delete)/;

/** Whether it was heeded, also where its reply was lost. */
const wasHeeded = ({ status, errorCode }: LabCall): boolean => status !== null && status < 400 && errorCode === null;

/** What calls changed that is of nobody's drill, and what they did twice. Those that only look may look at anything. */
export function callProblems(calls: readonly LabCall[], isOfDrill: (name: string) => boolean): string[] {
  const problems = new Set<string>();
  const done = new Map<string, number>();
  for (const call of calls.filter(({ service, action }) => service === 'rds' && !/^(Describe|List)/.test(action))) {
    const names = call.identifiers[SUBJECT[call.action] ?? ''] ?? [];
    if (names.length === 0) problems.add(`${call.action} was asked for, of which nobody here knows what it changes`);
    for (const name of names) {
      if (!isOfDrill(name)) problems.add(`${call.action} of ${name} was asked for, which is not the drill's`);
      if (wasHeeded(call) && ONCE.test(call.action)) done.set(`${call.action} of ${name}`, (done.get(`${call.action} of ${name}`) ?? 0) + 1);
    }
  }
  return [...problems, ...[...done].filter(([, times]) => times > 1).map(([what, times]) => `${what} was heeded ${times} times`)];
}
