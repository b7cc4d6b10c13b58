import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { PushbroomError } from '../errors.ts';
import type { JobDetails, Result } from '../operator/schemas.ts';
import { createClient } from './client.ts';
import { examples } from './commands.ts';
import { emptyDataDirectory } from './demo-directory.ts';
import type { CliDeps, RunningServer } from './deps.ts';
import { deployBundle } from './processors.ts';
import { stepsText, sum } from './render.ts';
import type { Page } from './render.ts';
import { aborted, stopSignal } from './stop.ts';
import { readText } from './submit.ts';
import { plural } from './text.ts';
import { notSuccessful, watch } from './watch.ts';
import { execute, pollStatus } from './wps.ts';
import type { ExecuteResponse, JobSight } from './wps.ts';

interface DemoFlags {
  readonly keep?: true;
  readonly json?: true;
  readonly dataDir?: string;
  readonly request?: string;
}

/** What the demo says at its end; `--json` prints it as one line. */
export interface DemoReport {
  readonly job: string;
  readonly state: string;
  readonly products: number;
  readonly tasks: number;
  readonly attempts: number;
  /** Tasks that no attempt could finish. */
  readonly failed: number;
  readonly seconds: number;
  /** `path` is absolute. */
  readonly results: readonly { path: string; href: string; type: string }[];
}

export const demoCommand = (deps: CliDeps): Command =>
  new Command('demo')
    .description('run a job over 140 real satellite scenes, here and now')
    .option('--keep', 'leave the server up until Ctrl-C')
    .option('--json', 'end with one line of JSON')
    .option('--data-dir <dir>', 'emptied first (default: data/demo of the checkout)')
    .option('--request <file>', 'Execute document to post (default: demo/request.xml)')
    .addHelpText('after', examples('demo', 'demo --keep', 'demo --json'))
    .action(async (flags: DemoFlags) => {
      const dataDir = resolve(flags.dataDir ?? join(deps.root, 'data', 'demo'));
      const request = await readText(flags.request ?? join(deps.root, 'demo', 'request.xml'));
      await using lease = await emptyDataDirectory(dataDir);
      using stop = stopSignal(deps);
      const config = join(lease.path, 'demo.yaml');
      await writeFile(config, demoConfig(deps.root));
      const logFile = join(lease.path, 'pushbroom.log');
      const server = await deps.serve({
        config,
        overrides: { dataDir, port: 0, internalPort: 0, logFile },
      });
      try {
        const run = { deps, flags, server, dataDir, logFile, signal: stop.signal };
        await deployTimescan(run);
        await runJob(run, request);
        if (flags.keep) await aborted(stop.signal);
      } finally {
        await server.close();
      }
    });

interface DemoRun {
  readonly deps: CliDeps;
  readonly flags: DemoFlags;
  readonly server: RunningServer;
  readonly dataDir: string;
  readonly logFile: string;
  readonly signal: AbortSignal;
}

/** Configuration of the demo: one dataset, and nothing goes on after it; everything else as it is by default. */
const demoConfig = (root: string): string =>
  stringify({
    engines: { local: { keepRunning: false } },
    datasets: [
      {
        name: 'Sentinel-2 L2A Romania 20 m',
        productType: 'S2_L2A',
        path: `${regExpText(join(root, 'demo', 'scenes'))}/\${yyyy}/\${MM}/\${dd}/S2_L2A_.*[.]tif`,
        minDate: '2015-08-01',
        maxDate: '2021-01-01',
      },
    ],
  });

/** The place of the checkout may hold characters that mean something in a path pattern. */
const regExpText = (path: string): string => path.replaceAll(/[.*+?^$()[\]{}|]/g, String.raw`\$&`);

const log = ({ deps, flags }: DemoRun, text: string) =>
  (flags.json ? deps.stderr : deps.stdout).write(text);

async function deployTimescan(run: DemoRun): Promise<void> {
  const directory = join(run.dataDir, 'demo-bundles');
  await run.deps.buildBundles(directory);
  const bundle = await deployBundle(clientOf(run), join(directory, 'timescan-1.0'));
  log(run, `server    ${run.server.publicUrl} (public), ${run.server.internalUrl} (internal)\n`);
  log(run, `deployed  ${bundle.name}~${bundle.version}\n`);
}

async function runJob(run: DemoRun, request: string): Promise<void> {
  const started = performance.now();
  const accepted = await execute(run.deps, run.server.publicUrl, request);
  if (accepted.job === '') {
    throw new PushbroomError('INVALID_PARAMETER', 'the demo wants status="true" in its request');
  }
  log(run, `accepted  ${accepted.job}\n`);
  const last = await watchJob(run, accepted);
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  const job = await jobOf(run, last.job);
  const results = last.state === 'successful' ? await resultsOf(run, last.job) : [];
  const report: DemoReport = {
    job: last.job,
    state: last.state,
    products: job.steps.process.total,
    tasks: sum(job, 'total'),
    attempts: job.attempts,
    failed: sum(job, 'failed'),
    seconds,
    results: results.map(({ href, type }) => ({ path: pathOf(run, href), href, type })),
  };
  log(run, reportText(run, report));
  if (run.flags.json) run.deps.stdout.write(`${JSON.stringify(report)}\n`);
  if (last.state !== 'successful') throw notSuccessful(last);
}

const clientOf = ({ server, deps }: DemoRun) => createClient(server.internalUrl, deps);

const jobOf = (run: DemoRun, id: string): Promise<JobDetails> =>
  clientOf(run).get(`/api/jobs/${encodeURIComponent(id)}`);

const resultsOf = async (run: DemoRun, id: string): Promise<readonly Result[]> =>
  (await clientOf(run).get<Page<Result>>(`/api/jobs/${encodeURIComponent(id)}/results`)).items;

/** Asks as a portal does how far the job is, and the internal listener for the steps. */
const watchJob = (run: DemoRun, first: ExecuteResponse): Promise<JobSight> => {
  const look = async () => {
    const status = await pollStatus(run.deps, first);
    return { ...status, text: stepsText(await jobOf(run, first.job)) };
  };
  const output = run.flags.json ? run.deps.stderr : run.deps.stdout;
  return watch(run.deps, { first, look }, output, run.signal);
};

/** Where a result lies on this disk: its URL's path is that below the data directory. */
const pathOf = ({ dataDir }: DemoRun, href: string): string =>
  join(dataDir, ...new URL(href).pathname.split('/').map(decodeURIComponent));

function reportText({ flags, server, logFile }: DemoRun, report: DemoReport): string {
  const { job, products, tasks, attempts, failed, seconds } = report;
  const results = report.results.map(({ path, href }) => `  ${path}\n    ${href}\n`).join('');
  const at = `--server ${server.internalUrl}`;
  const next = flags.keep
    ? `The server stays up until Ctrl-C. Go on with
  ${server.internalUrl}/  (console)
  bin/pushbroom job ${job} ${at}
  bin/pushbroom logs ${job} ${at}
  bin/pushbroom submit demo/request.xml --wait --public ${server.publicUrl}\n`
    : `Go on with
  npm run demo -- --keep        the same, and the server stays up (results by URL, console, API)
  demo/request.xml              change dates, region or step and run it again
  bin/pushbroom serve --help    your own datasets and processors\n`;
  return `
${report.state}: ${plural(products, 'product')}, ${plural(tasks, 'task')}, ${plural(attempts, 'attempt')}, \
${failed} failed, ${seconds} s

Results
${results || '  none\n'}Log
  ${logFile}

${next}`;
}
