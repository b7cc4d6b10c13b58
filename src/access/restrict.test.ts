import { describe, expect, it } from 'vitest';
import { createMemoryJobs } from '../../test/gateways/memory-jobs.ts';
import type { Caller, Jobs, Process } from '../jobs/jobs.ts';
import type { Dataset } from '../products/dataset.ts';
import { createJobsFor } from './restrict.ts';
import { createVisibility } from './visibility.ts';
import type { Audience } from './visibility.ts';

const caller = (user: string, ...groups: string[]): Caller => ({ user, role: 'user', groups });
const OPERATOR: Caller = { user: 'olga', role: 'operator', groups: [] };
const aDataset = (name: string, visibleTo?: Audience): Dataset => ({
  name,
  productType: 'S2',
  patterns: [],
  ...(visibleTo && { visibleTo }),
});

describe('what is there for a caller', () => {
  const datasets = [
    aDataset('all'),
    aDataset('anna', { users: ['anna'], groups: [] }),
    aDataset('team', { users: [], groups: ['team'] }),
    aDataset('nobody', { users: [], groups: [] }),
  ];
  const visibility = createVisibility(datasets, {
    a: { users: ['anna'], groups: [] },
    'a~2.0': { users: [], groups: ['team'] },
  });

  it.each<[string, Caller, string[], string[]]>([
    ['a stranger', caller('bert'), ['all'], []],
    ['one who is named', caller('anna'), ['all', 'anna'], ['a~1.0~X']],
    ['one of a group', caller('bert', 'x', 'team'), ['all', 'team'], ['a~2.0~X']],
    ['both', caller('anna', 'team'), ['all', 'anna', 'team'], ['a~1.0~X', 'a~2.0~X']],
    ['an operator', OPERATOR, ['all', 'anna', 'team', 'nobody'], ['a~1.0~X', 'a~2.0~X']],
  ])('is what %s may see', (_, who, seen, used) => {
    expect(visibility.datasets(who).map(({ name }) => name)).toEqual(seen);
    const processes = ['a~1.0~X', 'a~2.0~X'];
    expect(processes.filter((process) => visibility.mayUse(who, process))).toEqual(used);
    expect(visibility.mayUse(who, 'b~2.0~X')).toBe(true);
    expect(visibility.mayUse(who, 'ab~2.0~X')).toBe(true);
  });
});

it('datasets are one list for all who see the same, with which their descriptions are kept', () => {
  const datasets = [aDataset('a', { users: [], groups: ['g'] }), aDataset('b'), aDataset('c')];
  const visibility = createVisibility(datasets, {});
  const seen = visibility.datasets(caller('anna'));
  expect(seen).toHaveLength(2);
  expect(visibility.datasets(caller('bert', 'x'))).toBe(seen);
  expect(visibility.datasets(caller('carl', 'g'))).toEqual(datasets);
  expect(visibility.datasets(OPERATOR)).toBe(datasets);
});

it('a bundle of a user is there for him alone until it is for others', () => {
  const offers = {
    of: (name: string) => (name === 'b' ? { owner: 'anna', isForOthers: false } : undefined),
    areLimited: () => true,
  };
  const { mayUse, hidesProcesses } = createVisibility([], {}, offers);
  const who = [caller('anna'), caller('bert'), OPERATOR];
  expect(who.map((each) => mayUse(each, 'b~1~X'))).toEqual([true, false, true]);
  expect(who.map((each) => mayUse(each, 'c~1~X'))).toEqual([true, true, true]);
  expect(hidesProcesses()).toBe(true);
});

describe('jobs', () => {
  const process = (id: string): Process => ({
    id,
    title: id,
    description: '',
    version: '1.0',
    inputs: [],
    outputs: [],
  });

  function start() {
    const memory = createMemoryJobs([process('open~1.0~X'), process('team~1.0~X')], '/none');
    const visibility = createVisibility([], { team: { users: [], groups: ['team'] } });
    const jobsFor = createJobsFor({ jobsOver: () => memory, datasets: [], visibility });
    return { memory, jobsFor };
  }

  it('of others are not there, whatever is asked', async () => {
    const { memory, jobsFor } = start();
    const anna = caller('anna');
    const { job } = await jobsFor(anna).submit({
      process: 'open~1.0~X',
      inputs: {},
      caller: anna,
    });
    memory.move(job.id, { state: 'successful', results: [] });
    const ask: readonly ((jobs: Jobs) => Promise<unknown>)[] = [
      (jobs) => jobs.status(job.id),
      (jobs) => jobs.results(job.id),
      (jobs) => jobs.dismiss(job.id),
      (jobs) => jobs.ended(job.id),
      (jobs) => jobs.tasks(job.id, { limit: 1 }),
      (jobs) => jobs.attempts(job.id, 0),
    ];
    for (const one of ask) {
      await expect(one(jobsFor(caller('bert')))).rejects.toMatchObject({
        code: 'NO_SUCH_JOB',
        message: `There is no job '${job.id}'.`,
      });
      await expect(one(jobsFor(anna))).resolves.toBeDefined();
      await expect(one(jobsFor(OPERATOR))).resolves.toBeDefined();
    }
    const others = await jobsFor(caller('bert')).list({ user: 'anna', limit: 9 });
    expect(others.items).toEqual([]);
    expect((await jobsFor(anna).list({ limit: 9 })).items).toHaveLength(1);
  });

  it('are submitted for the caller, whoever the request names', async () => {
    const { jobsFor } = start();
    const request = { process: 'open~1.0~X', inputs: {}, caller: OPERATOR };
    expect((await jobsFor(caller('bert')).submit(request)).job.user).toBe('bert');
  });

  it('of a process that is not there for him cannot be told from one that is not there', async () => {
    const { jobsFor } = start();
    const refusal = (id: string) =>
      jobsFor(caller('bert'))
        .process(id)
        .catch((error: Error) => error.message.replace(id, ''));
    expect(await refusal('team~1.0~X')).toBe(await refusal('none~1.0~X'));
  });
});
