import { add, nothing } from '../core/amount.ts';
import type { Amount } from '../core/amount.ts';
import type { Change } from '../core/change.ts';
import { isAttemptEnded, isJobEnded } from '../core/lifecycle.ts';
import type {
  Attempt,
  AttemptState,
  EngineId,
  FailureKind,
  Job,
  JobId,
  JobState,
  Locality,
  Millis,
  Resources,
  Step,
  Task,
} from '../core/model.ts';
import type { GroupPolicy } from '../core/policy.ts';
import { dominantShare } from '../core/shares.ts';
import { fairShares } from './fair.ts';
import type { Wish } from './fair.ts';

export interface RecorderOptions {
  readonly groups: readonly GroupPolicy[];
  readonly start: Millis;
  localityOf(task: Task, attempt: Attempt): Locality | undefined;
  /** Milliseconds that a task takes at least. */
  workOf(task: Task): Millis;
}

export interface JobTrack {
  readonly job: Job;
  state: JobState;
  startedAt?: Millis;
  endedAt?: Millis;
  /** Since when each task waits for its first attempt. */
  readonly waiting: Map<number, Millis>;
  readonly ready: Amount;
  /** Resources by the milliseconds for which they were used. */
  readonly worked: Amount;
  /** The longest task of each step, by period where steps of a period follow each other. */
  readonly longest: Map<number, Partial<Record<Step, Millis>>>;
}

export interface GroupTrack {
  readonly path: string;
  readonly used: Amount;
  readonly ready: Amount;
  /** Milliseconds until the first attempt. */
  readonly taskWaits: number[];
  /** Dominant shares by time, in milliseconds, while it wanted anything. */
  shareMs: number;
  fairMs: number;
  wantedMs: number;
}

/** Writes down what matters of everything that the scheduler commits. */
export class Recorder {
  readonly jobs = new Map<JobId, JobTrack>();
  readonly groups = new Map<string, GroupTrack>();
  readonly attempts = new Map<AttemptState, number>();
  /** Attempts that have ended, and their processor milliseconds. */
  readonly engines = new Map<EngineId, { attempts: number; cpuMs: number }>();
  readonly localities = new Map<Locality | 'unknown', number>();
  readonly failures = new Map<FailureKind, { failures: number; retries: number }>();
  readonly tasks = { added: 0, finished: 0, failed: 0 };
  readonly speculative = { launched: 0, won: 0 };
  /** Processor milliseconds: there, in use, and of those in attempts that came to nothing. */
  readonly cpuMs = { available: 0, used: 0, wasted: 0 };
  /** When the last change of a job was committed. */
  changedAt: Millis;
  openJobs = 0;
  readonly #options: RecorderOptions;
  readonly #total = nothing();
  readonly #used = nothing();
  #now: Millis;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#now = options.start;
    this.changedAt = options.start;
  }

  /** @param sign 1 for a node that joins, -1 for one that leaves */
  nodeChanged(resources: Resources, sign: 1 | -1, at: Millis): void {
    this.goOn(at);
    add(this.#total, resources, sign);
  }

  /** Counts what has been used since the last look. */
  goOn(at: Millis): void {
    const passed = at - this.#now;
    if (passed <= 0) return;
    this.#now = at;
    if (this.openJobs === 0 || this.#total.cpus === 0) return;
    this.cpuMs.available += passed * this.#total.cpus;
    this.cpuMs.used += passed * this.#used.cpus;
    const wishes = new Map<string, Wish>();
    for (const { path, used, ready } of this.groups.values()) {
      if (used.cpus + ready.cpus <= 0) continue;
      wishes.set(path, {
        cpus: (used.cpus + ready.cpus) / this.#total.cpus,
        memory: (used.memoryMb + ready.memoryMb) / this.#total.memoryMb,
        gpus: this.#total.gpus > 0 ? (used.gpus + ready.gpus) / this.#total.gpus : 0,
      });
    }
    const fair = fairShares(this.#options.groups, wishes);
    for (const path of wishes.keys()) {
      const group = this.groups.get(path)!;
      group.shareMs += passed * dominantShare(group.used, this.#total);
      group.fairMs += passed * fair.get(path)!;
      group.wantedMs += passed;
    }
  }

  write(changes: readonly Change[]): void {
    for (const change of changes) this.#write(change);
  }

  #write(change: Change): void {
    switch (change.type) {
      case 'addJob':
        return this.#addJob(change.job);
      case 'addTasks':
        return this.#addTasks(change);
      case 'addAttempt':
        return this.#addAttempt(change);
      case 'moveAttempt':
        return isAttemptEnded(change.to) ? this.#endAttempt(change) : undefined;
      case 'retryTask':
        this.#failuresOf(change.failure.kind).retries += 1;
        return this.#wait(this.jobs.get(change.task.jobId)!, change.task, 1);
      case 'endTask':
        return this.#endTask(change);
      case 'moveJob':
        return this.#moveJob(change);
      default:
        return undefined;
    }
  }

  #addJob(job: Job): void {
    this.goOn(job.acceptedAt);
    this.openJobs += 1;
    this.jobs.set(job.id, {
      job,
      state: 'accepted',
      waiting: new Map(),
      ready: nothing(),
      worked: nothing(),
      longest: new Map(),
    });
    if (this.groups.has(job.group)) return;
    const { group: path } = job;
    const track = {
      path,
      used: nothing(),
      ready: nothing(),
      taskWaits: [],
      shareMs: 0,
      fairMs: 0,
      wantedMs: 0,
    };
    this.groups.set(path, track);
  }

  #addTasks({ jobId, tasks, at }: Of<'addTasks'>): void {
    this.#touch(at);
    const job = this.jobs.get(jobId)!;
    this.tasks.added += tasks.length;
    for (const task of tasks) {
      job.waiting.set(task.number, at);
      this.#wait(job, task, 1);
    }
  }

  /** A task begins or ceases to wait for processors. */
  #wait({ job, ready }: JobTrack, { step }: Task, sign: 1 | -1): void {
    const { resources } = job.workflow[step]!;
    add(ready, resources, sign);
    add(this.groups.get(job.group)!.ready, resources, sign);
  }

  #addAttempt({ attempt, task, resources }: Of<'addAttempt'>): void {
    const at = attempt.launchedAt;
    this.#touch(at);
    const track = this.jobs.get(attempt.jobId)!;
    const group = this.groups.get(track.job.group)!;
    track.startedAt ??= at;
    const since = track.waiting.get(task.number);
    if (since !== undefined) group.taskWaits.push(at - since);
    track.waiting.delete(task.number);
    if (attempt.isSpeculative) this.speculative.launched += 1;
    else this.#wait(track, task, -1);
    add(group.used, resources, 1);
    add(this.#used, resources, 1);
    const locality = this.#options.localityOf(task, attempt) ?? 'unknown';
    if (task.step === 'process') count(this.localities, locality);
  }

  #endAttempt({ attempt, resources, to, at, result }: Of<'moveAttempt'>): void {
    this.#touch(at);
    count(this.attempts, to);
    const group = this.groups.get(this.jobs.get(attempt.jobId)!.job.group)!;
    add(group.used, resources, -1);
    add(this.#used, resources, -1);
    const cpuMs = (at - attempt.launchedAt) * resources.cpus;
    const known = this.engines.get(attempt.engine) ?? { attempts: 0, cpuMs: 0 };
    this.engines.set(attempt.engine, {
      attempts: known.attempts + 1,
      cpuMs: known.cpuMs + cpuMs,
    });
    if (to === 'finished') {
      if (attempt.isSpeculative) this.speculative.won += 1;
      return;
    }
    this.cpuMs.wasted += cpuMs;
    if (result?.failure) this.#failuresOf(result.failure.kind).failures += 1;
  }

  #failuresOf(kind: FailureKind): { failures: number; retries: number } {
    const known = this.failures.get(kind) ?? { failures: 0, retries: 0 };
    this.failures.set(kind, known);
    return known;
  }

  #endTask({ task, to }: Of<'endTask'>): void {
    this.tasks[to] += 1;
    if (to === 'failed') return;
    const { job, worked, longest } = this.jobs.get(task.jobId)!;
    const work = this.#options.workOf(task);
    add(worked, job.workflow[task.step]!.resources, work);
    const chain = longest.get(task.lastPeriod) ?? {};
    chain[task.step] = Math.max(chain[task.step] ?? 0, work);
    longest.set(task.lastPeriod, chain);
  }

  #moveJob({ jobId, to, at }: Of<'moveJob'>): void {
    this.#touch(at);
    const track = this.jobs.get(jobId)!;
    track.state = to;
    if (!isJobEnded(to)) return;
    track.endedAt = at;
    this.openJobs -= 1;
    add(this.groups.get(track.job.group)!.ready, track.ready, -1);
    track.waiting.clear();
  }

  #touch(at: Millis): void {
    this.goOn(at);
    this.changedAt = at;
  }
}

type Of<T extends Change['type']> = Extract<Change, { readonly type: T }>;

const count = <K>(counts: Map<K, number>, key: K): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};
