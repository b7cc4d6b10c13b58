import { Command, CommanderError } from 'commander';
import { PushbroomError } from '../errors.ts';
import { examples } from './commands.ts';
import { demoCommand } from './demo.ts';
import type { CliDeps } from './deps.ts';
import { groupsCommand, nodesCommand, reloadCommand } from './cluster.ts';
import {
  cancelCommand,
  pauseCommand,
  prioritiseCommand,
  resumeCommand,
  retryCommand,
} from './control.ts';
import { explainCommand, failuresCommand, inputsCommand } from './explain.ts';
import { datasetsCommand } from './inventory.ts';
import { jobCommand, jobsCommand } from './jobs.ts';
import { logsCommand } from './logs.ts';
import { processorsCommand } from './processors.ts';
import { serveCommand } from './serve.ts';
import { simulateCommand } from './simulate.ts';
import { submitCommand } from './submit.ts';

const VERBS = [
  serveCommand,
  demoCommand,
  submitCommand,
  jobsCommand,
  jobCommand,
  logsCommand,
  explainCommand,
  failuresCommand,
  pauseCommand,
  resumeCommand,
  prioritiseCommand,
  retryCommand,
  cancelCommand,
  processorsCommand,
  datasetsCommand,
  inputsCommand,
  nodesCommand,
  groupsCommand,
  reloadCommand,
  simulateCommand,
];

/**
 * Runs one command line.
 *
 * @param argv what follows the program's name
 * @returns the exit code: 0, or not 0 after one clear line on standard error
 */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  try {
    await createProgram(deps).parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has already said it: help and version end with 0.
    if (error instanceof CommanderError) return error.exitCode;
    if (error instanceof PushbroomError) deps.stderr.write(`pushbroom: ${error.message}\n`);
    else deps.stderr.write(`pushbroom: ${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
}

function createProgram(deps: CliDeps): Command {
  const program = new Command('pushbroom')
    .description('Scheduling and processing component of an Earth-observation data centre')
    .version(deps.version)
    // What follows a verb is the verb's: 'retry --version' is not ours, and 'nodes drain --json' not that of 'nodes'.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      examples('demo', 'serve', 'submit demo/request.xml --wait', 'jobs', 'job ID'),
    );
  for (const verb of VERBS) program.addCommand(verb(deps));
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => deps.stdout.write(text),
      writeErr: (text) => deps.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'pushbroom: ')),
    });
  }
  return program;
}

const withSubcommands = (command: Command): readonly Command[] => [
  command,
  ...command.commands.flatMap(withSubcommands),
];
