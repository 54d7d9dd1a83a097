import { dirname } from 'node:path';
import type { Evidence } from '../../contracts/evidence.ts';
import { quote } from '../../contracts/quote.ts';
import { shellLines } from '../embedded/own-server-environment.ts';
import type { DemoEnvironment } from './environment.ts';

/** Whether a failed run's evidence says what is broken, in one of the names it may go by. */
export function namesDamage({ failure, checks, outcome, verdict }: Pick<Evidence, 'failure' | 'checks' | 'outcome' | 'verdict'>, names: readonly string[]): boolean {
  const said = [failure?.message ?? '', ...checks.filter((check) => check.outcome === 'failed').flatMap((check) => [check.name, check.detail])].join('\n');
  return outcome === 'failed' && verdict.restore === 'unsound' && names.some((name) => said.includes(name));
}

/** What to try of a demo that stays up, and what ends it. `programs`: the directory of `runbook` and of the extensions of `temporal`; `environment`: of the terminal that the lines are pasted into. */
export function keptLines({ server, production, temporalCli, configurationFile }: Pick<DemoEnvironment, 'server' | 'production' | 'temporalCli' | 'configurationFile'>, { programs, pid, environment = process.env }: { programs: string; pid: number; environment?: NodeJS.ProcessEnv }): string[] {
  return [
    `web UI              ${server.uiAddress}`,
    `production          psql -h ${production.socketDirectory} -p ${production.port} -U ${production.superuser.user} ${production.database}`,
    'try                 runbook runs; temporal workflow start dr-test; runbook doctor; psql … and change something, then runbook start backup',
    `stop everything     Ctrl-C here, or: kill ${pid}`, '',
    'Paste this into another terminal first:', '',
    `export PATH=${quote(`${programs}:${dirname(temporalCli)}`)}:"$PATH"`,
    ...shellLines(server.address, { more: { RUNBOOKS_CONFIG: configurationFile }, environment }), '',
  ];
}
