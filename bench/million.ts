import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { dayNumber, dayOfNumber } from '../src/core/time.ts';
import { operator, startPushbroom, temporaryDirectory, until } from '../test/servers/pushbroom.ts';
import type { JobSeen, Pushbroom } from '../test/servers/pushbroom.ts';
import { createClient, percentile, residentMb } from './measure.ts';
import type { Answer } from './measure.ts';
import type { Bench, Row } from './report.ts';

const DAYS = 1000;
const PER_DAY = 1000;
const PRODUCTS = DAYS * PER_DAY;
const FIRST_DAY = '2020-01-01';
const LAST_DAY = dayOfNumber(dayNumber(FIRST_DAY) + DAYS - 1);
/** Milliseconds between two looks at a job, of a portal and of an operator each. */
const POLL = 50;
/** Seconds after which a split that is far too slow is left. */
const PATIENCE = 300;
const TARGETS = { first: 1, split: 20, memory: 700, poll: 20 };

const DESCRIPTOR = `<bundleDescriptor><bundleName>bench</bundleName><bundleVersion>1.0</bundleVersion>
<processorDescriptors><processorDescriptor><executableName>Wait</executableName><processorName>Wait</processorName>
<formatting>IMPLICIT</formatting></processorDescriptor></processorDescriptors></bundleDescriptor>`;

/** An archive of empty products, which takes a while to make and is kept for the next run. */
function makeArchive(): string {
  const root = join(tmpdir(), `pushbroom-bench-archive-${PRODUCTS}`);
  for (let day = 0; day < DAYS; day += 1) {
    const directory = join(root, dayOfNumber(dayNumber(FIRST_DAY) + day).replaceAll('-', '/'));
    const complete = join(directory, '.complete');
    if (existsSync(complete)) continue;
    mkdirSync(directory, { recursive: true });
    for (let scene = 0; scene < PER_DAY; scene += 1) {
      closeSync(openSync(join(directory, `S2_L2A_${scene}.tif`), 'w'));
    }
    closeSync(openSync(complete, 'w'));
  }
  return root;
}

/** A service whose attempts run until somebody ends them, as those of a campaign seem to. */
async function start(directory: string, archive: string): Promise<Pushbroom> {
  const bundle = join(directory, 'bench');
  await mkdir(bundle);
  await writeFile(join(bundle, 'bundle-descriptor.xml'), DESCRIPTOR);
  await writeFile(join(bundle, 'Wait-process'), '#!/bin/sh\nexec sleep 3600\n');
  await chmod(join(bundle, 'Wait-process'), 0o755);
  return startPushbroom(directory, {
    bundles: ['./bench'],
    datasets: [
      { name: 'archive', productType: 'ANY', path: `${archive}/\${yyyy}/\${MM}/\${dd}/.*[.]tif` },
    ],
    jobs: { memoryMb: 64 },
    engines: { local: { isolation: 'none', keepRunning: false } },
  });
}

interface Course {
  /** Seconds from the Execute. */
  readonly firstAttempt: number;
  readonly splitEnd: number;
  /** Milliseconds of each look at the job. */
  readonly restPolls: readonly number[];
  readonly wpsPolls: readonly number[];
  readonly memoryMb: number;
}

type Status = JobSeen & { readonly splitEnded: boolean };

/** Submits the job and looks at it until all its products are known. */
async function follow(server: Pushbroom): Promise<Course & { readonly id: string }> {
  const ask = createClient(2);
  const restPolls: number[] = [];
  const wpsPolls: number[] = [];
  const inputs = { inputDataSetName: 'archive', minDate: FIRST_DAY, maxDate: LAST_DAY };
  // A service that was never asked anything loads what it reads with.
  good(await ask({ url: `${server.internalUrl}/api/jobs` }));
  const begun = performance.now();
  const since = () => (performance.now() - begun) / 1000;
  const id = await operator(server.internalUrl).submit('bench~1.0~Wait', inputs);
  const rest = `${server.internalUrl}/api/jobs/${id}`;
  const wps = `${server.publicUrl}/wps?Service=WPS&Request=GetStatus&JobId=${id}`;
  let firstAttempt: number | undefined;
  for (;;) {
    const answer = await ask({ url: rest });
    const { attempts, splitEnded, state, steps, message } = JSON.parse(good(answer).text) as Status;
    restPolls.push(answer.milliseconds);
    wpsPolls.push(good(await ask({ url: wps })).milliseconds);
    if (attempts > 0) firstAttempt ??= since();
    if (splitEnded || since() > PATIENCE) {
      const { total } = steps['process']!;
      if (state !== 'running' || (splitEnded && total !== PRODUCTS)) {
        throw new Error(`${total} products are split, the job is ${state}: ${message}`);
      }
      const splitEnd = since();
      const memoryMb = await residentMb(server.pid, 'peak');
      return {
        id,
        firstAttempt: firstAttempt ?? splitEnd,
        splitEnd,
        restPolls,
        wpsPolls,
        memoryMb,
      };
    }
    await pause(POLL);
  }
}

function good(answer: Answer): Answer {
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
  return answer;
}

/** Resolves when none of the job's processes is left. */
async function dismiss({ internalUrl }: Pushbroom, id: string): Promise<void> {
  await fetch(`${internalUrl}/api/jobs/${id}`, { method: 'DELETE' });
  const { get } = operator(internalUrl);
  await until(
    () => get<{ items: { state: string }[] }>(`/api/jobs/${id}/tasks/0/attempts`),
    ({ items }) => items.every(({ state }) => state !== 'launched' && state !== 'running'),
  );
}

const row = (what: string, value: number, unit: string, target: number): Row => ({
  what,
  value,
  unit,
  target,
  ok: value < target,
});

export const million: Bench = {
  title: `million: one job over ${PRODUCTS} products of a real archive`,
  async run(say) {
    const begun = performance.now();
    const archive = makeArchive();
    say(`archive made in ${((performance.now() - begun) / 1000).toFixed(0)} s: ${archive}`);
    await using directory = await temporaryDirectory();
    const server = await start(directory.path, archive);
    try {
      const course = await follow(server);
      await dismiss(server, course.id);
      return [
        row('first attempt', course.firstAttempt, 's', TARGETS.first),
        row('all split', course.splitEnd, 's', TARGETS.split),
        row('memory, at most', course.memoryMb, 'MB', TARGETS.memory),
        row('REST status', percentile(course.restPolls, 0.99), 'ms p99', TARGETS.poll),
        row('WPS status', percentile(course.wpsPolls, 0.99), 'ms p99', TARGETS.poll),
      ];
    } finally {
      await server.stop();
    }
  },
};
