/** The process that `soak` kills: the real scheduler and store; its cluster is the parent, which outlives it. */
import { pino } from 'pino';

import type { EngineEvent } from '../src/core/change.ts';
import { isJobEnded } from '../src/core/lifecycle.ts';
import type { AttemptId, Job } from '../src/core/model.ts';
import type { AttemptNews, Engine, Launch } from '../src/engines/engine.ts';
import type { Assignment } from '../src/runner/assignment.ts';
import { systemClock } from '../src/scheduler/clock.ts';
import { startScheduler } from '../src/scheduler/scheduler.ts';
import { openSqlite } from '../src/store/sqlite/sqlite.ts';

/** What the server asks of its cluster; the answer carries the same number. */
export type Call =
  | { readonly call: 'launch'; readonly order: Launch }
  | { readonly call: 'kill'; readonly attemptId: AttemptId }
  | { readonly call: 'reconcile'; readonly attemptIds: readonly AttemptId[] };
export type FromServer =
  | { readonly type: 'call'; readonly number: number; readonly what: Call }
  | { readonly type: 'run' }
  | { readonly type: 'ready' }
  | { readonly type: 'ended'; readonly jobId: string; readonly state: string };
export type ToServer =
  | { readonly type: 'answer'; readonly number: number; readonly news?: [AttemptId, AttemptNews][] }
  | { readonly type: 'refusal'; readonly number: number; readonly message: string }
  | { readonly type: 'events'; readonly events: readonly EngineEvent[] }
  | { readonly type: 'submit'; readonly jobs: readonly Job[] };

export const PRODUCTS_PER_JOB = 20_000;
const BATCH = 1_000;

const tell = (message: FromServer): void => void process.send!(message);

function createRemoteEngine() {
  const answers = new Map<number, PromiseWithResolvers<[AttemptId, AttemptNews][] | undefined>>();
  let count = 0;
  let emit: (event: EngineEvent) => void = () => undefined;
  const ask = (what: Call) => {
    const answer = Promise.withResolvers<[AttemptId, AttemptNews][] | undefined>();
    count += 1;
    answers.set(count, answer);
    tell({ type: 'call', number: count, what });
    return answer.promise;
  };
  const engine: Engine = {
    id: 'simulated',
    run: async (tellTo, signal) => {
      emit = tellTo;
      tell({ type: 'run' });
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
    launch: async (order) => void (await ask({ call: 'launch', order })),
    kill: async (attemptId) => void (await ask({ call: 'kill', attemptId })),
    reconcile: async (attemptIds) => new Map(await ask({ call: 'reconcile', attemptIds })),
  };
  const hear = (message: ToServer): void => {
    if (message.type === 'events') for (const event of message.events) emit(event);
    else if (message.type === 'answer') answers.get(message.number)!.resolve(message.news);
    else if (message.type === 'refusal') {
      answers.get(message.number)!.reject(new Error(message.message));
    }
  };
  return { engine, hear };
}

async function* findProducts({ id }: Job) {
  for (let from = 0; from < PRODUCTS_PER_JOB; from += BATCH) {
    yield Array.from({ length: BATCH }, (_, index) => ({
      path: `/archive/${id}/${from + index}`,
      firstPeriod: 0,
      lastPeriod: 0,
    }));
  }
}

if (import.meta.main) {
  const { engine, hear } = createRemoteEngine();
  let submit: (jobs: readonly Job[]) => Promise<void> = async () => undefined;
  process.on('message', (message: ToServer) => {
    if (message.type === 'submit') void submit(message.jobs);
    else hear(message);
  });
  process.on('disconnect', () => process.exit());
  const store = openSqlite(process.argv[2]!);
  const scheduler = await startScheduler({
    store,
    engines: [engine],
    clock: systemClock,
    logger: pino({ level: 'error' }),
    findProducts,
    assign: async (_job, _task, attempt) => ({ attemptId: attempt.id }) as Assignment,
    stage: async () => [],
    clean: async (job, state) => tell({ type: 'ended', jobId: job.id, state }),
  });
  submit = async (jobs) => {
    for (const job of jobs) {
      const view = await store.job(job.id);
      if (!view) await scheduler.submit(job);
      else if (isJobEnded(view.state)) tell({ type: 'ended', jobId: job.id, state: view.state });
    }
  };
  tell({ type: 'ready' });
}
