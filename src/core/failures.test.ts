import { describe, expect, test } from 'vitest';

import { L2, aJob, product, stepPlan } from '../../test/fixtures/jobs.ts';
import { failing, story } from '../../test/fixtures/story.ts';
import { causeOf, classify, moreMemory } from './failures.ts';
import type { Signs } from './failures.ts';
import type { FailureKind } from './model.ts';

describe('who is to blame', () => {
  const said: readonly (readonly [FailureKind, Partial<Signs>])[] = [
    ['processor', { exitCode: 1, lastWords: 'ValueError: bad band index' }],
    ['processor', { signal: 'SIGSEGV', lastWords: '' }],
    ['processor', { exitCode: 139, lastWords: 'Segmentation fault' }],
    ['memory', { signal: 'SIGKILL', lastWords: '' }],
    ['memory', { exitCode: 137, lastWords: 'Killed' }],
    ['memory', { exitCode: 1, lastWords: 'java.lang.OutOfMemoryError: Java heap space' }],
    ['memory', { exitCode: 1, lastWords: 'MemoryError' }],
    [
      'memory',
      {
        exitCode: 1,
        lastWords:
          'numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8.0 GiB for an array',
      },
    ],
    [
      'memory',
      { signal: 'SIGABRT', lastWords: "terminate called after throwing 'std::bad_alloc'" },
    ],
    ['disk', { exitCode: 1, lastWords: "OSError: [Errno 28] No space left on device: 'x.tif'" }],
    ['network', { exitCode: 6, lastWords: 'curl: (6) Could not resolve host: data.example' }],
    [
      'network',
      { exitCode: 1, lastWords: 'ConnectionRefusedError: [Errno 111] Connection refused' },
    ],
    [
      'input',
      {
        exitCode: 1,
        lastWords: "ERROR 4: `a.tif' not recognized as being in a supported file format.",
      },
    ],
    ['input', { exitCode: 2, lastWords: 'gzip: a.gz: unexpected end of file' }],
    ['input', { exitCode: 1, lastWords: 'zipfile.BadZipFile: File is not a zip file' }],
  ];

  test.each(said)('is said by %s: %j', (kind, signs) => {
    expect(classify({ lastWords: '', ...signs })).toBe(kind);
  });
});

describe('the cause of a failure', () => {
  const cause = (message: string) => causeOf({ kind: 'processor', message });

  test('is the same for what differs only in names and numbers', () => {
    const one = "process.sh exit code 3: cannot open '/data/2016/S2A_1.SAFE' at line 17 (0x7f01ab)";
    const other = "process.sh exit code 3: cannot open '/data/2017/S2B_9.SAFE' at line 4 (0x11)";
    expect(cause(one)).toBe(cause(other));
    expect(cause('took longer than its limit of 60 s')).toBe(
      'processor: took longer than its limit of # s',
    );
  });

  test('differs for what is said differently, and by who is to blame', () => {
    expect(cause('no such band')).not.toBe(cause('no such file'));
    expect(cause('no')).not.toBe(causeOf({ kind: 'input', message: 'no' }));
  });

  test('is short, whatever was said', () => {
    expect(cause('x '.repeat(100_000)).length).toBeLessThanOrEqual(200);
  });
});

test('memory doubles up to what the job may have', () => {
  expect([512, 1024, 1500, 4000].map((had) => moreMemory(had, 1500))).toEqual([
    1024,
    1500,
    undefined,
    undefined,
  ]);
});

describe('a task whose attempt failed', () => {
  const NODE = { cpus: 4, memoryMb: 8192 };

  /** Two nodes, one task that was launched on the first. */
  function launched(retry: Parameters<typeof aJob>[0] = {}) {
    const told = story(aJob(retry));
    told.nodeUp('a', NODE);
    told.nodeUp('b', NODE);
    told.find(product('1'));
    told.offer('a', NODE);
    told.place();
    const offerBoth = () => {
      told.offer('a', NODE);
      told.offer('b', NODE);
    };
    return { ...told, offerBoth };
  }

  test('goes to another node at once where the infrastructure failed', () => {
    for (const kind of ['engine', 'network', 'disk'] as const) {
      const { end, place, offerBoth } = launched();
      end(0, 1, failing(kind), 'failed');
      offerBoth();
      expect(place()).toEqual(['/archive/1 b 2']);
    }
  });

  test('waits before it is tried again where the program failed', () => {
    for (const kind of ['processor', 'time', 'memory', 'input'] as const) {
      const { end, place, offerBoth, at } = launched();
      end(0, 1, failing(kind), 'failed');
      offerBoth();
      expect(place()).toEqual([]);
      at(1000);
      expect(place()).toHaveLength(1);
    }
  });

  test('goes back to the same node when there is no other', () => {
    const { end, place, offer, happens } = launched();
    happens({ type: 'nodeDown', engine: 'e', node: 'b' });
    end(0, 1, failing('engine'), 'lost');
    offer('a', NODE);
    expect(place()).toEqual(['/archive/1 a 2']);
  });

  test('waits too after it was lost several times', () => {
    const { end, place, offerBoth } = launched();
    for (const attempt of [1, 2, 3]) {
      end(0, attempt, failing('engine'), 'lost');
      offerBoth();
      expect(place()).toHaveLength(attempt < 3 ? 1 : 0);
    }
  });

  test('has more memory next time where it ran out of it, up to the limit of the job', () => {
    const workflow = { ...L2, process: stepPlan({ resources: { cpus: 1, memoryMb: 512 } }) };
    const { end, place, offerBoth, at, changes, jobMoves } = launched({
      workflow,
      retry: { maxMemoryMb: 1500, maxAttempts: 3 },
    });
    for (const attempt of [1, 2, 3]) {
      end(0, attempt, failing('memory', 'used too much'), 'failed');
      at(100_000 * attempt);
      offerBoth();
      place();
    }
    const memory = changes.flatMap((change) =>
      change.type === 'addAttempt' ? [change.resources.memoryMb] : [],
    );
    expect(memory).toEqual([512, 1024, 1500]);
    expect(jobMoves().at(-1)).toMatchObject({
      to: 'failed',
      message: 'used too much (it had 1500 MB) (process of /archive/1)',
    });
  });

  test('has no more memory next time than a node with GPUs has, where it needs those', () => {
    const resources = { cpus: 1, memoryMb: 512, gpus: 1 };
    const { find, end, place, offer, at, nodeUp, changes } = story(
      aJob({ workflow: { ...L2, process: stepPlan({ resources }) }, retry: { maxMemoryMb: 9000 } }),
    );
    const small = { cpus: 4, memoryMb: 700, gpus: 2 };
    nodeUp('large', NODE);
    nodeUp('small', small);
    find(product('1'));
    offer('small', small);
    place();
    end(0, 1, failing('memory', 'used too much'), 'failed');
    at(100_000);
    offer('small', small);
    place();
    const asked = changes.flatMap((change) =>
      change.type === 'addAttempt' ? [change.resources] : [],
    );
    expect(asked).toEqual([resources, { ...resources, memoryMb: 700 }]);
  });

  test('is not tried for ever where its input is bad', () => {
    const { end, place, offerBoth, at, jobMoves } = launched({ retry: { maxAttempts: 9 } });
    end(0, 1, failing('input', 'corrupt'), 'failed');
    at(100_000);
    offerBoth();
    place();
    end(0, 2, failing('input', 'corrupt'), 'failed');
    expect(jobMoves().at(-1)).toMatchObject({ to: 'failed' });
  });

  test('loses nothing of its budget where an operator ended it', () => {
    const { end, place, offerBoth, changes } = launched({
      retry: { maxAttempts: 1, maxLosses: 1 },
    });
    end(0, 1, failing('operator', 'killed by an operator'), 'killed');
    offerBoth();
    expect(place()).toHaveLength(1);
    expect(changes.findLast(({ type }) => type === 'retryTask')).toMatchObject({
      failures: 0,
      losses: 0,
    });
  });

  test('waits longer each time that there is no room for it after all, and loses nothing by it', () => {
    const { end, place, offerBoth, at, changes } = launched({
      retry: { maxAttempts: 1, maxLosses: 1, delay: 1, maxDelay: 5 },
    });
    let now = 0;
    for (const [index, pause] of [1000, 2000, 4000, 5000, 5000].entries()) {
      end(0, index + 1, failing('capacity', 'preempted'), 'lost');
      offerBoth();
      at(now + pause - 1);
      expect(place()).toEqual([]);
      at((now += pause));
      // It may go where it was.
      expect(place()).toEqual([`/archive/1 a ${index + 2}`]);
    }
    expect(changes.findLast(({ type }) => type === 'retryTask')).toMatchObject({
      failures: 0,
      losses: 0,
    });
  });

  test('waits no longer for want of room once something else has happened', () => {
    const { end, place, offerBoth, at, state } = launched();
    for (const attempt of [1, 2]) {
      end(0, attempt, failing('capacity'), 'lost');
      at(10_000 * attempt);
      offerBoth();
      place();
    }
    end(0, 3, failing('engine'), 'lost');
    offerBoth();
    expect(place()).toHaveLength(1);
    end(0, 4, failing('capacity'), 'lost');
    expect(state.delayed.peek()?.until).toBe(20_000 + 1000);
  });

  test('is counted by its cause', () => {
    const { end, changes } = launched();
    end(0, 1, failing('processor', "cannot read 'x7'"), 'failed');
    expect(changes.findLast(({ type }) => type === 'moveAttempt')).toMatchObject({
      cause: 'processor: cannot read …',
    });
  });
});

describe('failed tasks that are wanted again', () => {
  const job = aJob({ retry: { maxAttempts: 1, failurePercent: 100 } });
  const again = { type: 'tasksRetried', jobId: job.id } as const;

  function oneFailed() {
    const told = story(job);
    told.find(product('1'), product('2'));
    told.launch();
    told.end(0, 1, failing('processor'), 'failed');
    const { task } = told.changes.findLast((change) => change.type === 'endTask')!;
    return { ...told, tasks: [{ task, attempts: 1 }] };
  }

  test('are ready again with a fresh budget, and with more memory if so wished', () => {
    const { happens, launch, tasks, state, changes } = oneFailed();
    happens({ ...again, tasks: [...tasks, ...tasks], memoryMb: 4096 });
    expect(state.jobs.get(job.id)!.steps.process).toMatchObject({ total: 2, failed: 0 });
    expect(launch()).toEqual(['process /archive/1']);
    expect(changes.findLast(({ type }) => type === 'addAttempt')).toMatchObject({
      attempt: { number: 2 },
      resources: { memoryMb: 4096 },
    });
  });

  test('are refused where they have not failed, or when the job has ended', () => {
    const { happens, tasks } = oneFailed();
    const other = [{ task: { ...tasks[0]!.task, number: 1 }, attempts: 1 }];
    expect(happens({ ...again, tasks: other }).refusal?.code).toBe('CONFLICT');
    happens({ ...again, tasks });
    expect(happens({ ...again, tasks }).refusal?.code).toBe('CONFLICT');
    happens({ type: 'jobDismissed', jobId: job.id });
    expect(happens({ ...again, tasks }).refusal?.code).toBe('CONFLICT');
  });
});
