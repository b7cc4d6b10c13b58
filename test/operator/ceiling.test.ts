import { afterEach, beforeEach, expect, test } from 'vitest';

import { createManualClock } from '../scheduler/world.ts';
import { startCentre } from './centre.ts';
import type { Centre } from './centre.ts';
import { run } from './command-line.ts';

const HOUR = 3_600_000;
const REASON = 'it has used 4 of its 3 CPU hours';

let centre: Centre;
let time: ReturnType<typeof createManualClock>;
/** A job at its ceiling: one of its four attempts has ended after an hour, three are out. */
beforeEach(async () => {
  time = createManualClock();
  centre = await startCentre({ n1: { cpus: 4, memoryMb: 4096 } }, time.clock);
  await centre.submit('one', ['a', 'b', 'c', 'd', 'e', 'f'], { maxCpuHours: 3 });
  time.pass(HOUR);
  centre.engine.finish('one.0.1');
  await centre.settled();
});
afterEach(() => centre[Symbol.asyncDispose]());

const cli = (...argv: readonly string[]) => run(argv, { env: { PUSHBROOM_URL: centre.url } });

test('a job at its ceiling is paused and says why, everywhere', async () => {
  const { body } = await centre.call('GET', '/api/jobs/one');
  expect(body).toMatchObject({
    state: 'running',
    paused: true,
    message: `paused: ${REASON}`,
    cpuHours: { used: 1, ceiling: 3 },
  });
  expect((await centre.call('GET', '/api/explain/one')).body).toMatchObject({
    summary: 'Paused: it has used 4 of its 3 CPU hours.',
    remedies: ['Let it go on with a higher ceiling: pushbroom resume one --max-cpu-hours HOURS'],
  });
  expect([...centre.engine.running.keys()]).toEqual(['one.1.1', 'one.2.1', 'one.3.1']);
  const { stdout } = await cli('job', 'one');
  expect(stdout).toMatch(/^State +paused: it has used 4 of its 3 CPU hours$/m);
  expect(stdout).toMatch(/^CPU hours +1\.00 of 3$/m);
});

test('it is not resumed without a higher ceiling', async () => {
  const { status, body } = await centre.call('POST', '/api/jobs/one/resume');
  expect([status, body.code]).toEqual([409, 'CONFLICT']);
  expect(body.message).toContain(`${REASON}. Let it go on with a higher ceiling`);
  const lower = await centre.call('POST', '/api/jobs/one/resume', { maxCpuHours: 4 });
  expect(lower.body.message).toContain('it has used 4 of its 4 CPU hours');
  expect((await cli('resume', 'one')).stderr).toContain('pushbroom resume one --max-cpu-hours');
});

test('a higher ceiling lets it go on, by REST and by the command line', async () => {
  const { body } = await centre.call('POST', '/api/jobs/one/resume', { maxCpuHours: 4.5 });
  expect(body).toMatchObject({ paused: false, cpuHours: { ceiling: 4.5 } });
  expect(body).not.toHaveProperty('message');
  await centre.settled();
  expect(centre.engine.running.size).toBe(4);
  time.pass(HOUR);
  centre.engine.finish('one.1.1');
  await centre.settled();
  expect((await centre.call('GET', '/api/jobs/one')).body.paused).toBe(true);
  expect(await cli('resume', 'one', '--max-cpu-hours', '100')).toMatchObject({
    code: 0,
    stdout: 'one resumed\n',
  });
});

test.each([0, -1, 'five', null])('%j is no ceiling', async (maxCpuHours) => {
  const { status } = await centre.call('POST', '/api/jobs/one/resume', { maxCpuHours });
  expect(status).toBe(400);
});

test.each(['0', '-1', 'all'])('--max-cpu-hours %s is refused', async (hours) => {
  expect((await cli('resume', 'one', '--max-cpu-hours', hours)).code).toBe(1);
});

test('other actions take no ceiling', async () => {
  const action = { action: 'pause', ids: ['one'], maxCpuHours: 5 };
  const { status, body } = await centre.call('POST', '/api/jobs/actions', action);
  expect([status, body.message]).toEqual([400, "'pause' has no 'maxCpuHours'."]);
});
