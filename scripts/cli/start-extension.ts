#!/usr/bin/env node
import { applyAppearance } from './appearance.ts';
import { limitCommand } from './command-limit.ts';
import { EXIT, exitCodeOf, guardOutput, reportError, type ExitCode } from './exit.ts';
import { EXTENSION_HELP, parseExtensionArguments } from './extension-arguments.ts';
import { wantsJson } from './temporal-flags.ts';

/** `temporal workflow start dr-test`: does what `runbook start dr-test` does, with the flags of Temporal's CLI. */
async function run(): Promise<ExitCode> {
  const { type, help, json, color, inputFile, workflowId, commandTimeoutMs, connection, ...request } = parseExtensionArguments(process.argv);
  if (help) {
    process.stdout.write(`${EXTENSION_HELP(type)}\n`);
    return EXIT.done;
  }
  applyAppearance({ color, output: request.output });
  limitCommand(commandTimeoutMs, { asJson: json });
  const { start } = await import('./start.ts');
  const input = inputFile === undefined ? request.input : await readInput(inputFile);
  const given = { ...connection, ...request, input, id: workflowId, json };
  return start(type, Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
}

async function readInput(file: string): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  const { CommandError } = await import('./exit.ts');
  return readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CommandError(EXIT.usage, `--input-file ${file} cannot be read (${cause.code ?? cause.message})`, { cause });
  });
}

guardOutput();
try {
  process.exitCode = await run();
} catch (error) {
  reportError(error, wantsJson(process.argv));
  process.exitCode = exitCodeOf(error);
}
