import { afterEach, beforeEach, expect, test } from 'vitest';
import { aJob, L2, stepPlan } from '../../test/fixtures/jobs.ts';
import { startCentre } from '../../test/operator/centre.ts';
import type { Centre } from '../../test/operator/centre.ts';
import { run } from '../../test/operator/command-line.ts';
import type { Run } from '../../test/operator/command-line.ts';

let centre: Centre;
beforeEach(async () => {
  centre = await startCentre();
});
afterEach(() => centre[Symbol.asyncDispose]());

const cli = (...argv: readonly string[]): Promise<Run> =>
  run(argv, { env: { PUSHBROOM_URL: centre.url } });

test('jobs are paused and shown so, resumed, and cancelled', async () => {
  await centre.submit('one', ['a']);
  expect(await cli('pause', 'one')).toEqual({ code: 0, stdout: 'one paused\n', stderr: '' });
  expect((await cli('jobs')).stdout).toMatch(/^one +paused /m);
  expect((await cli('resume', 'one')).stdout).toBe('one resumed\n');
  expect((await cli('jobs')).stdout).toMatch(/^one +running /m);
  expect((await cli('cancel', 'one')).stdout).toBe('one cancelled\n');
  expect((await cli('job', 'one')).stdout).toMatch(/^State +dismissed/m);
});

test('what could not be done is told in one line, after what could', async () => {
  await centre.submit('one', ['a']);
  await centre.submit('two', ['a']);
  expect(await cli('cancel', 'one', 'nope', 'two')).toEqual({
    code: 1,
    stdout: 'one cancelled\ntwo cancelled\n',
    stderr: "pushbroom: 2 of 3 jobs were cancelled; 1 not: There is no job 'nope'.\n",
  });
});

test('several jobs that are selected by options need a yes', async () => {
  await centre.submit('one', ['a']);
  await centre.submit('two', ['a']);
  expect(await cli('pause', '--user', 'alice')).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'pushbroom: 2 jobs would be paused. Look at them with --dry-run, or add --yes to do it.\n',
  });
  const dry = await cli('pause', '--state', 'accepted,running', '--dry-run');
  expect(dry.stdout).toBe('two would be paused\none would be paused\n');
  expect((await cli('jobs')).stdout).not.toContain('paused');
  const { code, stdout } = await cli('pause', '--user', 'alice', '--yes', '--json');
  expect([code, JSON.parse(stdout).message]).toEqual([0, '2 jobs were paused.']);
});

test('one job that is selected by options needs none', async () => {
  await centre.submit('one', ['a'], { user: 'anna' });
  expect((await cli('cancel', '--user', 'anna')).stdout).toBe('one cancelled\n');
});

test('jobs get another priority and group', async () => {
  await centre.submit('one', ['a']);
  const { stdout } = await cli('prioritise', 'one', '--priority', '7', '--to', 'project/tep');
  expect(stdout).toBe('one changed\n');
  const shown = (await cli('job', 'one')).stdout;
  expect(shown).toMatch(/^Group +project\/tep\nPriority +7$/m);
  expect((await cli('jobs', '--group', 'project/tep')).stdout).toContain('one');
});

test('failures are listed, explained and retried for their cause', async () => {
  await centre.submit('one', ['a', 'b', 'c']);
  centre.engine.fail('one.0.1', 'processor', 'exit code 3');
  centre.engine.fail('one.1.1', 'time', 'it ran longer than 60 s');
  await centre.settled();
  const { stdout } = await cli('failures', 'one');
  expect(stdout).toMatch(/^ATTEMPTS +KIND +EXAMPLE +LAST \(UTC\) +WHY\n/);
  expect(stdout).toMatch(/^1 +time +one\.1\.1 .* it ran longer than 60 s$/m);
  const explained = (await cli('explain', 'one.1')).stdout;
  expect(explained).toContain('one.1 is failed: It failed after one attempt: it ran longer');
  expect(explained).toMatch(/What to do:\n {2}Look at 'pushbroom logs one'/);
  expect((await cli('retry', 'one', '--cause', 'time', '--memory', '1024')).stdout).toBe(
    'one retried: 1 failed task\n',
  );
  expect((await cli('retry', 'one', '--task', '0')).stdout).toBe('one retried: 1 failed task\n');
  expect(JSON.parse((await cli('failures', 'one', '--json')).stdout).items).toBeDefined();
});

test('the retry of a job that has ended names the new one', async () => {
  await centre.submit('one', ['a']);
  await cli('cancel', 'one');
  const { code, stdout } = await cli('retry', '--state', 'dismissed', '--version', '1.1');
  expect(code).toBe(0);
  expect(stdout).toBe(`one retried as a new job: ${centre.submitted[0]!.id}\n`);
});

test('the image in which a job runs is shown', async () => {
  const image = 'registry.example/deep:1';
  await centre.submit('one', ['a'], { processor: { ...aJob().processor, image } });
  expect((await cli('job', 'one')).stdout).toMatch(/^Image +registry.example\/deep:1$/m);
  await centre.submit('two', ['a']);
  expect((await cli('job', 'two')).stdout).not.toContain('Image');
});

test('GPUs are a column where there are any', async () => {
  expect((await cli('nodes')).stdout).not.toContain('GPUS');
  expect((await cli('groups')).stdout).not.toContain('GPUS');
  await using gpus = await startCentre({ n1: { cpus: 4, memoryMb: 4096, gpus: 2 } });
  const resources = { cpus: 1, memoryMb: 512, gpus: 2 };
  const workflow = { ...L2, process: stepPlan({ resources }) };
  await gpus.submit('one', ['a'], { workflow });
  const shown = async (...argv: readonly string[]) =>
    (await run(argv, { env: { PUSHBROOM_URL: gpus.url } })).stdout;
  expect(await shown('nodes')).toMatch(/ FREE MB +GPUS +FREE GPUS +ATTEMPTS .*\n.* 3584 +2 +0 +1 /);
  expect(await shown('groups')).toMatch(/ CPUS +GPUS +TASKS /);
  expect(await shown('groups')).toMatch(/^default .* 100 % +1 +2 +1 +1 /m);
});

test('nodes are listed, drained by their names and given back', async () => {
  await centre.submit('one', ['a']);
  expect((await cli('nodes')).stdout).toMatch(
    /^manual +n1 +rack-1 +- +4 +3 +4096 +3584 +1 +in work$/m,
  );
  const drained = await cli('nodes', 'drain', 'n1', '--reason', 'disk dies');
  expect(drained.stdout).toMatch(/ drained: disk dies$/m);
  const given = await cli('nodes', 'undrain', 'manual/n1', '--json');
  expect(JSON.parse(given.stdout)).toMatchObject({ node: 'n1', attempts: 1 });
  expect(await cli('nodes', 'drain', 'n9')).toEqual({
    code: 1,
    stdout: '',
    stderr: "pushbroom: there is no node 'n9'; there are: manual/n1\n",
  });
});

test('a node that its engine takes away says why', async () => {
  centre.engine.up('n1', 'maintenance from 2026-02-01T08:00:00.000Z');
  await centre.settled();
  expect((await cli('nodes')).stdout).toMatch(
    / 0 +away: maintenance from 2026-02-01T08:00:00\.000Z$/m,
  );
});

test('engines are listed', async () => {
  await centre.submit('one', ['a', 'b']);
  expect(await cli('engines')).toEqual({
    code: 0,
    stdout:
      'ENGINE  STATE      NODES  ATTEMPTS  DETAIL\n' +
      'manual  connected  1      2         cluster of a test\n' +
      'plain   connected  0      0         needs no connection\n',
    stderr: '',
  });
  expect(JSON.parse((await cli('engines', '--json')).stdout).items).toMatchObject([
    { id: 'manual', connected: true, nodes: 1, attempts: 2 },
    { id: 'plain' },
  ]);
});

test('an engine is torn down with a yes only', async () => {
  await centre.submit('one', ['a', 'b']);
  expect(await cli('teardown', 'manual')).toEqual({
    code: 1,
    stdout: '',
    stderr:
      "pushbroom: everything that runs in 'manual' (2 attempts) would be killed and made again elsewhere or later, " +
      'and it stays off until the service is started again. Add --yes to do it.\n',
  });
  expect(centre.engine.running.size).toBe(2);
  expect(await cli('teardown', 'manual', '--yes')).toEqual({
    code: 0,
    stdout: 'manual is torn down, and stays off until the service is started again\n',
    stderr: '',
  });
  expect((await cli('engines')).stdout).toMatch(/^manual +not connected +0 +0 +torn down$/m);
  expect((await cli('teardown', 'manual', '--yes')).stderr).toBe(
    "pushbroom: The engine 'manual' is not torn down: there is no cluster to say it to\n",
  );
});

test('groups tell what is due to them, and the configuration is read anew', async () => {
  await centre.submit('one', ['a'], { user: 'utep', group: 'project/tep' });
  const { stdout } = await cli('groups');
  expect(stdout).toMatch(/^project\/tep +1 +0-100 % +\d+ % +25 % +1 +1 +1 +5 open jobs +-$/m);
  expect((await cli('reload')).stdout).toBe(
    'reloaded; changed as well, but only a restart applies it: jobs.maxAttempts\n',
  );
});

test('suspect inputs are listed', async () => {
  expect((await cli('inputs')).stdout).toBe('no suspect inputs\n');
  for (const id of ['one', 'two', 'three']) {
    await centre.submit(id, ['bad']);
    centre.engine.fail(`${id}.0.1`, 'processor', 'corrupt');
    await centre.settled();
  }
  expect((await cli('inputs')).stdout).toMatch(/^\/archive\/bad +3 .* corrupt$/m);
});

test.each<[string[], string]>([
  [['pause'], 'name jobs by their ids, or by --state, --user, --group or --process'],
  [
    ['pause', 'one', '--user', 'x'],
    'name jobs by their ids, or by --state, --user, --group or --process',
  ],
  [['pause', '--user', 'nobody'], 'No job is selected: none that matches is accepted or running.'],
  [['prioritise', 'one'], 'Say the new priority, the new group or both.'],
  [['prioritise', 'one', '--priority', 'high'], 'It must be a whole number from 0 to 200.'],
  [['prioritise', 'one', '--to', 'x'], "There is no group 'x' for jobs. There are: default, "],
  [['retry', 'one', '--task', 'a'], 'It must be a whole number from 0 to '],
  [['retry', '--user', 'x', '--task', '1'], '--task goes with the id of one job'],
  [['retry', 'one', '--memory', '-1'], 'It must be a whole number from 1 to '],
  [['teardown', 'nope'], "there is no engine 'nope'; there are: manual, plain"],
  [['teardown', 'nope', '--yes'], "There is no engine 'nope'. There are: manual, plain."],
  [['teardown', 'plain', '--yes'], "The engine 'plain' cannot be torn down."],
  [['explain', 'nope'], "There is no job 'nope'."],
  [['failures', 'nope'], "There is no job 'nope'."],
])('%j fails with one line', async (argv, line) => {
  await centre.submit('one', ['a']);
  const { code, stdout, stderr } = await cli(...argv);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain(line);
  expect(stderr.trimEnd()).not.toContain('\n');
});
