import { parseAttemptId, taskId } from '../core/ids.ts';
import type {
  Attempt,
  FailureKind,
  JobId,
  Locality,
  Millis,
  NodeId,
  Resources,
  Step,
  Task,
} from '../core/model.ts';
import type { AttemptNews } from '../engines/engine.ts';
import type { Assignment } from '../runner/assignment.ts';
import type { Archive } from './archive.ts';
import type { Chance } from './chance.ts';
import type { Course, SimulatedNode } from './engine.ts';
import type { ScenarioNode } from './lifetimes.ts';
import type { Scenario } from './scenario.ts';
import { durationOf, productNumber } from './workload.ts';
import type { Arrival } from './workload.ts';

export interface CourseOptions {
  readonly scenario: Scenario;
  readonly archive: Archive;
  readonly chance: Chance;
  readonly arrivals: readonly Arrival[];
  readonly nodes: readonly ScenarioNode[];
}

/** An attempt that hangs is ended so much later than it should have been done. */
const HANGS_FOR = 600_000;
/** What a task that runs out of memory would have needed, as a multiple of what it asked for. */
const MEMORY_NEED = 1.5;
/** A node that breaks attempts does so quickly, and so draws more of them. */
const BREAKS_AFTER = 2_000;

const CHANCE_KINDS = ['processor', 'disk', 'time', 'network', 'engine'] as const;

const MESSAGES: Readonly<Record<FailureKind, string>> = {
  input: 'the product cannot be read',
  processor: 'exit code 1',
  memory: 'killed: out of memory',
  disk: 'no space left on device',
  time: 'said nothing for 600 s',
  network: 'connection reset by peer',
  engine: 'the executor was lost',
  capacity: 'preempted',
  operator: 'killed by the operator',
};

/** How attempts go: a task's work is drawn once, its luck anew for each attempt. */
export function createCourses(options: CourseOptions) {
  const { scenario, archive, chance } = options;
  const arrivals = new Map(options.arrivals.map((arrival) => [arrival.job.id, arrival]));
  const nodes = new Map(options.nodes.map((each) => [each.node.name, each]));
  const arrivalOf = (jobId: JobId): Arrival => arrivals.get(jobId)!;

  /** Milliseconds that a task takes where its data lie, at speed 1 and with all luck. */
  function workOf({ jobId, number, step }: Pick<Task, 'jobId' | 'number' | 'step'>): Millis {
    const { median, sigma } = durationOf(arrivalOf(jobId).spec, step);
    return chance.lognormal(`${taskId(jobId, number)} work`, 1000 * median, sigma);
  }

  function localityOf({ step, input }: Pick<Task, 'step' | 'input'>, node: NodeId) {
    return step === 'process'
      ? archive.localityOf(productNumber(input!), nodes.get(node)!.node)
      : undefined;
  }

  function courseOf(
    { attemptId, step, input }: Assignment,
    resources: Resources,
    node: SimulatedNode,
  ): Course {
    const { jobId, task: number } = parseAttemptId(attemptId)!;
    const { slow } = scenario;
    const { speed, failurePercent } = nodes.get(node.name)!.spec;
    const isSlow = chance.uniform(`${attemptId} slow`) < slow.percent / 100;
    const work = workOf({ jobId, number, step }) * (isSlow ? slow.factor : 1);
    const duration = work / speed + readingTime(localityOf({ step, input }, node.name));
    if (chance.uniform(`${attemptId} node`) < failurePercent / 100) {
      return { duration: BREAKS_AFTER, end: failed('disk') };
    }
    const kind = failureOf(attemptId, step, input, resources);
    return kind
      ? {
          duration: timeToFailure(kind, duration, chance.uniform(`${attemptId} time to failure`)),
          end: failed(kind),
        }
      : { duration, end: FINISHED };
  }

  const readingTime = (locality: Locality | undefined): Millis =>
    locality === undefined || locality === 'node' ? 0 : 1000 * scenario.data.remoteRead[locality];

  function failureOf(
    attemptId: string,
    step: Step,
    input: string,
    { memoryMb }: Resources,
  ): FailureKind | undefined {
    const { failures } = scenario;
    const strikes = (about: string, percent: number) => chance.uniform(about) < percent / 100;
    // A product is corrupt for whoever reads it; a task needs as much memory whenever it is tried.
    if (step === 'process' && strikes(`${input} corrupt`, failures.input)) return 'input';
    const { jobId, task } = parseAttemptId(attemptId)!;
    const asked = arrivalOf(jobId).job.workflow[step]!.resources.memoryMb;
    const isTooSmall = memoryMb < MEMORY_NEED * asked;
    if (isTooSmall && strikes(`${taskId(jobId, task)} memory`, failures.memory)) return 'memory';
    return CHANCE_KINDS.find((kind) => strikes(`${attemptId} ${kind}`, failures[kind]));
  }

  return {
    courseOf,
    workOf,
    arrivalOf,
    localityOf: (task: Task, { node }: Attempt) => localityOf(task, node),
  };
}

const timeToFailure = (kind: FailureKind, duration: Millis, part: number): Millis =>
  kind === 'time' ? duration + HANGS_FOR : duration * part;

const FINISHED: AttemptNews = {
  state: 'finished',
  result: { exitCode: 0, outputs: [{ path: 'result.tif', size: 1 }] },
};

const failed = (kind: FailureKind): AttemptNews => ({
  state: kind === 'engine' ? 'lost' : 'failed',
  result: { failure: { kind, message: MESSAGES[kind] } },
});
