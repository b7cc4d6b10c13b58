import { readFile } from 'node:fs/promises';
import { Option } from 'commander';
import type { Command } from 'commander';
import { PushbroomError, messageOf } from '../errors.ts';
import type { JobDetails, Result } from '../operator/schemas.ts';
import { productionType } from '../processes/production.ts';
import { childText, parseXml } from '../xml.ts';
import { baseUrl } from './client.ts';
import type { Client } from './client.ts';
import { clientCommand, clientOf, DEFAULT_PUBLIC, examples } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import type { Page } from './render.ts';
import { stepsText } from './render.ts';
import { stopSignal } from './stop.ts';
import { notSuccessful, watch } from './watch.ts';
import type { Submitted } from './watch.ts';
import { execute, pollStatus } from './wps.ts';
import type { JobSight } from './wps.ts';

interface SubmitFlags extends ClientFlags {
  readonly public: string;
  readonly wait?: true;
}

export const submitCommand = (deps: CliDeps): Command =>
  clientCommand('submit', deps)
    .argument(
      '<file>',
      'WPS 1.0.0 Execute (.xml), {"process": ..., "inputs": {...}} (.json), or production parameters (.yaml, .json)',
    )
    .description('submit a job')
    .addOption(
      new Option(
        '--public <url>',
        'public listener, for .xml that names a process (PUSHBROOM_PUBLIC_URL)',
      ).default(deps.env['PUSHBROOM_PUBLIC_URL'] ?? DEFAULT_PUBLIC),
    )
    .option('--wait', 'show progress until the job has ended; fail if it failed')
    .addHelpText('after', examples('submit demo/request.xml --wait', 'submit request.json --json'))
    .action(async (file: string, flags: SubmitFlags) => {
      const submitted = await submit(deps, flags, file);
      const { state, job } = submitted.first;
      if (!flags.json) deps.stdout.write(`${`${state} ${job}`.trim()}\n`);
      const last = flags.wait ? await wait(deps, flags, submitted) : submitted.first;
      if (flags.json) deps.stdout.write(`${JSON.stringify(last)}\n`);
      else for (const { href } of last.results) deps.stdout.write(`${href}\n`);
      if (last.state === 'failed' || last.state === 'dismissed') throw notSuccessful(last);
    });

async function wait(deps: CliDeps, flags: SubmitFlags, submitted: Submitted): Promise<JobSight> {
  using stop = stopSignal(deps);
  return await watch(deps, submitted, flags.json ? deps.stderr : deps.stdout, stop.signal);
}

async function submit(deps: CliDeps, flags: SubmitFlags, file: string): Promise<Submitted> {
  const client = clientOf(flags, deps);
  const { text, type } = await readRequest(file);
  if (type !== XML_TYPE || isProduction(text)) return submitDocument(client, text, type);
  const first = await execute(deps, baseUrl(flags.public), text);
  return { first, look: () => pollStatus(deps, first) };
}

/** A request for a job as it is in a file. */
export async function readRequest(file: string): Promise<{ text: string; type: string }> {
  const text = await readText(file);
  const type = typeOf(file);
  if (type === JSON_TYPE) checkJson(file, text);
  return { text, type };
}

const JSON_TYPE = 'application/json';
const XML_TYPE = 'application/xml';

function typeOf(file: string): string {
  const name = file.toLowerCase();
  if (name.endsWith('.json')) return JSON_TYPE;
  return /\.ya?ml$/.test(name) ? 'application/yaml' : XML_TYPE;
}

function checkJson(file: string, text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new PushbroomError('MALFORMED_REQUEST', `${file} is not JSON: ${messageOf(error)}`);
  }
}

/** Productions are for operators, and so for the operator API; the public listener says what is wrong with bad XML. */
function isProduction(document: string): boolean {
  try {
    const root = parseXml(document.trimStart());
    return productionType(childText(root, 'Identifier') ?? '') !== undefined;
  } catch {
    return false;
  }
}

async function submitDocument(client: Client, document: string, type: string): Promise<Submitted> {
  const job = await client.send<JobDetails>('/api/jobs', document, type);
  const path = `/api/jobs/${encodeURIComponent(job.id)}`;
  return {
    first: sight(job, []),
    async look() {
      const now = await client.get<JobDetails>(path);
      const results =
        now.state === 'successful' ? (await client.get<Page<Result>>(`${path}/results`)).items : [];
      return { ...sight(now, results), text: stepsText(now) };
    },
  };
}

const sight = (
  { id, state, percent, message }: JobDetails,
  results: readonly Result[],
): JobSight => ({
  job: id,
  state,
  percent,
  ...(message !== undefined && { message }),
  results,
});

export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new PushbroomError('NOT_FOUND', `cannot read the request: ${messageOf(error)}`);
  }
}
