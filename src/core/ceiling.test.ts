import fc from 'fast-check';
import { expect, test } from 'vitest';

import { aJob, product } from '../../test/fixtures/jobs.ts';
import { failing, launches, placeAll, story } from '../../test/fixtures/story.ts';
import { usedCpuMs } from './ceiling.ts';
import { explain } from './explain.ts';
import type { Control } from './model.ts';

const HOUR = 3_600_000;
const controls = (changes: readonly { readonly type: string }[]) =>
  changes.flatMap((change) =>
    change.type === 'controlJob' && 'control' in change ? [change.control as Control] : [],
  );
const products = (count: number) =>
  Array.from({ length: count }, (_, index) => product(String(index)));

/** Two products at a time, each for an hour on one CPU. */
function twoHours(maxCpuHours: number) {
  const its = story(aJob({ maxCpuHours }));
  its.find(...products(6));
  its.nodeUp('n', { cpus: 2, memoryMb: 9999 });
  its.offer('n', { cpus: 2, memoryMb: 9999 });
  its.place();
  its.at(HOUR);
  its.end(0);
  return its;
}
const JOB = aJob().id;

test('a job is paused when its attempts, those that run too, have used what it may', () => {
  const its = twoHours(2);
  const pauseReason = 'it has used 2 of its 2 CPU hours';
  expect(controls(its.changes)).toEqual([
    { group: 'default', priority: 100, isPaused: true, pauseReason, maxCpuHours: 2 },
  ]);
  expect(its.lines().slice(1)).toEqual([`job ${JOB} is paused: ${pauseReason}`]);
  its.offer('n', { cpus: 2, memoryMb: 9999 });
  expect(its.place()).toEqual([]);
  its.at(1.5 * HOUR);
  expect(explain(its.state, JOB, 1.5 * HOUR)).toMatchObject({
    summary: 'Paused: it has used 2.5 of its 2 CPU hours.',
    reasons: [{ code: 'paused' }, { code: 'running' }, {}, {}],
  });
  its.end(1, 1, failing('processor'), 'failed');
  expect(controls(its.changes)).toHaveLength(1);
  expect(usedCpuMs(its.state.jobs.get(JOB)!, 9 * HOUR)).toBe(2.5 * HOUR);
});

test('nothing is launched between the time when it is reached and the news that pauses the job', () => {
  const its = twoHours(2.5);
  expect(controls(its.changes)).toEqual([]);
  its.at(1.5 * HOUR);
  expect(its.launch()).toEqual([]);
  expect(explain(its.state, `${JOB}.4`, 1.5 * HOUR)?.summary).toBe(
    'Paused: it has used 2.5 of its 2.5 CPU hours.',
  );
});

test('it goes on with a higher ceiling only', () => {
  const its = twoHours(2);
  const resume = (control: Partial<Control>) =>
    its.happens({ type: 'jobControlled', jobId: JOB, control: { isPaused: false, ...control } });
  expect(resume({}).refusal).toEqual({
    code: 'CONFLICT',
    message:
      `Job ${JOB} stays paused: it has used 2 of its 2 CPU hours. ` +
      `Let it go on with a higher ceiling: pushbroom resume ${JOB} --max-cpu-hours HOURS`,
  });
  expect(resume({ maxCpuHours: 1.5 }).refusal?.message).toContain('2 of its 1.5 CPU hours');
  expect(resume({ maxCpuHours: 0 }).refusal?.code).toBe('INVALID_PARAMETER');
  expect(resume({ maxCpuHours: Number.NaN }).refusal?.code).toBe('INVALID_PARAMETER');
  expect(resume({ maxCpuHours: 3 }).refusal).toBeUndefined();
  expect(controls(its.changes).at(-1)).toEqual({
    group: 'default',
    priority: 100,
    isPaused: false,
    maxCpuHours: 3,
  });
  its.offer('n', { cpus: 1, memoryMb: 9999 });
  expect(its.place()).toHaveLength(1);
  its.at(2 * HOUR);
  its.end(1);
  expect(controls(its.changes).map(({ isPaused }) => isPaused)).toEqual([true, false, true]);
});

test('an operator who pauses it or moves it changes nothing of that', () => {
  const its = twoHours(2);
  its.happens({ type: 'jobControlled', jobId: JOB, control: { priority: 5 } });
  expect(controls(its.changes).at(-1)?.pauseReason).toBe('it has used 2 of its 2 CPU hours');
  its.happens({ type: 'jobControlled', jobId: JOB, control: { isPaused: true } });
  expect(controls(its.changes).at(-1)).toMatchObject({ isPaused: true, priority: 5 });
  expect(controls(its.changes).at(-1)?.pauseReason).toBeUndefined();
});

test('what has been done when the ceiling is reached is staged', () => {
  const its = story(aJob({ maxCpuHours: 1 }));
  its.find(product('a'));
  its.endSplit();
  its.launch();
  its.at(3 * HOUR);
  its.end(0);
  expect(controls(its.changes)).toEqual([]);
  expect(its.kinds()).toContain('stage');
});

test('without a ceiling nothing is paused', () => {
  const its = story(aJob());
  its.find(...products(2));
  its.launch();
  its.at(1000 * HOUR);
  its.end(0);
  expect(controls(its.changes)).toEqual([]);
});

interface Run {
  readonly task: number;
  readonly number: number;
  readonly launchedAt: number;
  endedAt?: number;
}

test('whatever happens, nothing is launched over the ceiling, and each pause is one', () => {
  const deed = fc.oneof(
    fc.record({
      type: fc.constant('offer' as const),
      cpus: fc.integer({ min: 1, max: 3 }),
      minutes: fc.constantFrom(0, 20),
    }),
    fc.record({
      type: fc.constant('end' as const),
      choice: fc.nat(9),
      to: fc.constantFrom('finished' as const, 'failed' as const, 'lost' as const),
    }),
    fc.record({ type: fc.constant('pass' as const), minutes: fc.integer({ min: 0, max: 90 }) }),
    fc.record({ type: fc.constant('raise' as const), by: fc.integer({ min: 0, max: 4 }) }),
  );
  let pauses = 0;
  const property = fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
    let ceiling = 2;
    let now = 0;
    const runs: Run[] = [];
    const its = story(aJob({ maxCpuHours: ceiling, retry: { failurePercent: 100 } }));
    its.find(...products(12));
    its.nodeUp('n', { cpus: 3, memoryMb: 9999 });
    /** By the book: each attempt for itself. */
    const used = () =>
      runs.reduce((sum, { launchedAt, endedAt = now }) => sum + endedAt - launchedAt, 0);
    let isPaused = false;
    for (const each of deeds) {
      const before = its.changes.length;
      if (each.type === 'offer') its.offer('n', { cpus: each.cpus, memoryMb: 9999 });
      // What is offered may be given away some time after it was last looked at the job.
      if ('minutes' in each) its.at((now += each.minutes * 60_000));
      if (each.type === 'raise') {
        const control = { isPaused: false, maxCpuHours: ceiling + each.by };
        const { refusal } = its.happens({ type: 'jobControlled', jobId: JOB, control });
        expect(refusal !== undefined).toBe(used() >= HOUR * (ceiling + each.by));
        if (!refusal) {
          ceiling += each.by;
          isPaused = false;
        }
      }
      if (each.type === 'end') {
        const out = runs.filter(({ endedAt }) => endedAt === undefined);
        const run = out[each.choice % out.length];
        if (run) {
          run.endedAt = now;
          its.end(run.task, run.number, failing('processor'), each.to);
        }
      }
      for (const { attempts } of launches(placeAll(its.state, now).effects)) {
        expect(used()).toBeLessThan(HOUR * ceiling);
        expect(isPaused).toBe(false);
        for (const { attempt } of attempts) {
          runs.push({ task: attempt.task, number: attempt.number, launchedAt: now });
        }
      }
      const record = its.state.jobs.get(JOB)!;
      expect(usedCpuMs(record, now)).toBeCloseTo(used(), 3);
      const paused = controls(its.changes.slice(before)).filter((control) => control.isPaused);
      expect(paused.length).toBeLessThanOrEqual(isPaused ? 0 : 1);
      if (paused.length > 0) {
        expect(used()).toBeGreaterThanOrEqual(HOUR * ceiling);
        isPaused = true;
        pauses += 1;
      }
      expect(record.control.isPaused).toBe(isPaused);
    }
  });
  fc.assert(property, { numRuns: 500 });
  expect(pauses).toBeGreaterThan(20);
});
