import { Command, CommanderError } from 'commander';
import { PushbroomError } from '../errors.ts';
import { examples } from './commands.ts';
import type { CliDeps } from './deps.ts';

type Verb = (deps: CliDeps) => Command;

/** Each is loaded when it is wanted: a server should not carry the clients, nor they what only one of them uses. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  serve: async () => (await import('./serve.ts')).serveCommand,
  demo: async () => (await import('./demo.ts')).demoCommand,
  submit: async () => (await import('./submit.ts')).submitCommand,
  quote: async () => (await import('./quote.ts')).quoteCommand,
  jobs: async () => (await import('./jobs.ts')).jobsCommand,
  job: async () => (await import('./jobs.ts')).jobCommand,
  logs: async () => (await import('./logs.ts')).logsCommand,
  explain: async () => (await import('./explain.ts')).explainCommand,
  failures: async () => (await import('./explain.ts')).failuresCommand,
  pause: async () => (await import('./control.ts')).pauseCommand,
  resume: async () => (await import('./control.ts')).resumeCommand,
  prioritise: async () => (await import('./control.ts')).prioritiseCommand,
  retry: async () => (await import('./control.ts')).retryCommand,
  cancel: async () => (await import('./control.ts')).cancelCommand,
  processors: async () => (await import('./processors.ts')).processorsCommand,
  bundles: async () => (await import('./bundles.ts')).bundlesCommand,
  bundle: async () => (await import('./bundles.ts')).bundleCommand,
  upload: async () => (await import('./upload.ts')).uploadCommand,
  datasets: async () => (await import('./inventory.ts')).datasetsCommand,
  inputs: async () => (await import('./explain.ts')).inputsCommand,
  nodes: async () => (await import('./cluster.ts')).nodesCommand,
  engines: async () => (await import('./engines.ts')).enginesCommand,
  teardown: async () => (await import('./engines.ts')).teardownCommand,
  groups: async () => (await import('./cluster.ts')).groupsCommand,
  reload: async () => (await import('./cluster.ts')).reloadCommand,
  share: async () => (await import('./access.ts')).shareCommand,
  audit: async () => (await import('./access.ts')).auditCommand,
  'hash-password': async () => (await import('./access.ts')).hashPasswordCommand,
  simulate: async () => (await import('./simulate.ts')).simulateCommand,
};

/**
 * Runs one command line.
 *
 * @param argv what follows the program's name
 * @returns the exit code: 0, or not 0 after one clear line on standard error
 */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  try {
    const program = createProgram(deps, await loadVerbs(argv[0]));
    await program.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has already said it: help and version end with 0.
    if (error instanceof CommanderError) return error.exitCode;
    if (error instanceof PushbroomError) deps.stderr.write(`pushbroom: ${error.message}\n`);
    else deps.stderr.write(`pushbroom: ${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
}

/** The verb that is named first, or all: for help, and to say what comes near. */
const loadVerbs = (name = ''): Promise<readonly Verb[]> =>
  Promise.all(
    (Object.hasOwn(VERBS, name) ? [name] : Object.keys(VERBS)).map((each) => VERBS[each]!()),
  );

function createProgram(deps: CliDeps, verbs: readonly Verb[]): Command {
  const program = new Command('pushbroom')
    .description('Scheduling and processing component of an Earth-observation data centre')
    .version(deps.version)
    // What follows a verb is the verb's: 'retry --version' is not ours, and 'nodes drain --json' not that of 'nodes'.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      examples('demo', 'serve', 'submit demo/request.xml --wait', 'jobs', 'job ID'),
    );
  for (const verb of verbs) program.addCommand(verb(deps));
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
