import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { operator, startPushbroom, temporaryDirectory, until } from '../test/servers/pushbroom.ts';
import type { Pushbroom } from '../test/servers/pushbroom.ts';
import { none } from './report.ts';
import type { Bench } from './report.ts';

const RUNNING = 1000;
const WAITING = 100_000;
const TASKS = RUNNING + WAITING;
/** Tasks that end before what became of those that ran is counted: theirs were the first to end. */
const AFTERWARDS = 5 * RUNNING;
const TARGET = 3;

const DESCRIPTOR = `<bundleDescriptor><bundleName>bench</bundleName><bundleVersion>1.0</bundleVersion>
<processorDescriptors><processorDescriptor><executableName>Gate</executableName><processorName>Gate</processorName>
<formatting>IMPLICIT</formatting></processorDescriptor></processorDescriptors></bundleDescriptor>`;

/** Two gates through which attempts pass when they are open, each half of them through its own. */
type Gate = 'even' | 'odd';

/** Writes down that it ran and waits, without a sign of life, at its gate: a named pipe that nobody writes to. */
const program = (directory: string) => `#!/bin/sh
echo "$1" >> ${directory}/runs
case "$1" in
  *[02468].dat) : < ${directory}/even ;;
  *) : < ${directory}/odd ;;
esac
`;

/** A real service on a machine that is said to have a processor for each of its idle programs. */
async function prepare(directory: string): Promise<() => Promise<Pushbroom>> {
  await mkdir(join(directory, 'bench'));
  await writeFile(join(directory, 'bench/bundle-descriptor.xml'), DESCRIPTOR);
  await writeFile(join(directory, 'bench/Gate-process'), program(directory));
  await chmod(join(directory, 'bench/Gate-process'), 0o755);
  execFileSync('mkfifo', [join(directory, 'even'), join(directory, 'odd')]);
  mkdirSync(join(directory, 'archive'));
  for (let index = 0; index < TASKS; index += 1) {
    closeSync(openSync(join(directory, `archive/${index}.dat`), 'w'));
  }
  return () =>
    startPushbroom(directory, {
      bundles: ['./bench'],
      datasets: [{ name: 'archive', productType: 'ANY', path: './archive/.*[.]dat' }],
      jobs: { memoryMb: 64 },
      engines: {
        local: { cpus: RUNNING, memoryMb: 64 * RUNNING, isolation: 'none', keepRunning: false },
      },
    });
}

/** Whoever waits at a gate passes it, and whoever comes later. Returns what closes it. */
function open(directory: string, gate: Gate): () => void {
  const handle = openSync(join(directory, gate), 'r+');
  return () => closeSync(handle);
}

interface TaskSeen {
  readonly state: string;
  readonly attempts: number;
  readonly input: string;
}

/** All tasks of a job that have been tried. */
async function tried({ internalUrl }: Pushbroom, id: string): Promise<TaskSeen[]> {
  const { get } = operator(internalUrl);
  const tasks: TaskSeen[] = [];
  for (let after: string | undefined = ''; after !== undefined;) {
    const query: string = `limit=1000${after && `&after=${after}`}`;
    const page: { items: TaskSeen[]; next?: string } = await get(`/api/jobs/${id}/tasks?${query}`);
    tasks.push(...page.items.filter(({ attempts }) => attempts > 0));
    after = page.next;
  }
  return tasks;
}

interface Outcome {
  /** Seconds from the start of the process to the first attempt that it launches. */
  readonly again: number;
  readonly lost: number;
  readonly doubled: number;
}

async function crash(
  directory: string,
  start: () => Promise<Pushbroom>,
  say: (line: string) => void,
): Promise<Outcome> {
  const closers: (() => void)[] = [];
  let server = await start();
  try {
    const id = await operator(server.internalUrl).submit('bench~1.0~Gate', {
      inputDataSetName: 'archive',
    });
    const job = () => operator(server.internalUrl).job(id);
    await until(job, ({ steps }) => steps['process']!.total === TASKS);
    const ran = await until(
      async () => runs(directory),
      ({ length }) => length === RUNNING,
    );
    await server.kill();
    say(`killed with ${RUNNING} attempts running and ${WAITING} tasks waiting`);
    // Half of the attempts end while nobody is there; the others run on and are to be adopted.
    closers.push(open(directory, 'even'));
    const begun = performance.now();
    server = await start();
    const ready = (performance.now() - begun) / 1000;
    await until(job, ({ attempts }) => attempts > RUNNING);
    const again = (performance.now() - begun) / 1000;
    say(`ready after ${ready.toFixed(2)} s, scheduling after ${again.toFixed(2)} s`);
    closers.push(open(directory, 'odd'));
    const seen = await until(job, ({ steps }) => steps['process']!.finished >= AFTERWARDS);
    await fetch(`${server.internalUrl}/api/jobs/${id}`, { method: 'DELETE' });
    await operator(server.internalUrl).ended(id);
    const tasks = await tried(server, id);
    const unknown = TASKS - seen.steps['process']!.total;
    return {
      again,
      lost: unknown + countLost(tasks, ran),
      doubled: countDoubled(tasks, runs(directory)),
    };
  } finally {
    await server.stop();
    for (const close of closers) close();
  }
}

/** What was run, once for each time: names of inputs. */
const runs = (directory: string): string[] =>
  readFileSync(join(directory, 'runs'), { encoding: 'utf8', flag: 'a+' }).split('\n').slice(0, -1);

/** How many of those that ran at the crash have not finished by that attempt. */
function countLost(tasks: readonly TaskSeen[], ran: readonly string[]): number {
  const kept = tasks.filter(({ state, attempts }) => state === 'finished' && attempts === 1);
  return new Set(ran).difference(new Set(kept.map(nameOf))).size;
}

/** How many have finished, but were run more than once. */
function countDoubled(tasks: readonly TaskSeen[], all: readonly string[]): number {
  const runsOf = Map.groupBy(all, (name) => name);
  return tasks.filter((task) => task.state === 'finished' && runsOf.get(nameOf(task))!.length > 1)
    .length;
}

const nameOf = ({ input }: TaskSeen): string => basename(input);

export const recover: Bench = {
  title: `recover: kill -9 with ${WAITING} tasks waiting and ${RUNNING} attempts running, half of which end meanwhile`,
  async run(say) {
    await using directory = await temporaryDirectory();
    const start = await prepare(directory.path);
    const { again, lost, doubled } = await crash(directory.path, start, say);
    return [
      { what: 'scheduling again', value: again, unit: 's', target: TARGET, ok: again < TARGET },
      none('lost', lost, 'tasks'),
      none('run twice to commit', doubled, 'tasks'),
    ];
  },
};
