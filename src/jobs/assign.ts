import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

import type { Attempt, Job, Resources, Step, Task } from '../core/model.ts';
import type { Layout } from '../layout.ts';
import type { Executables } from '../processes/executables.ts';
import type { Registry } from '../processes/registry.ts';
import type { Assignment } from '../runner/assignment.ts';
import type { Store, TaskView } from '../store/store.ts';

export interface AssignOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly layout: Layout;
  readonly isolation: Assignment['isolation'];
  /** Bytes of stdout and stderr of one attempt. */
  readonly outputLimit: number;
}

/** Says what a runner has to do for a task: the bridge between the scheduler's numbers and files on a node. */
export function createAssigner({ store, registry, layout, isolation, outputLimit }: AssignOptions) {
  return async (
    job: Job,
    task: Task,
    attempt: Attempt,
    resources: Resources,
  ): Promise<Assignment> => {
    const { bundle, version, bundleHash: hash, image } = job.processor;
    const deployed = registry.bundle(bundle, version);
    if (deployed?.hash !== hash)
      throw new Error(`bundle ${bundle}-${version} is no longer deployed`);
    const { wallTimeLimit, silenceLimit } = job.workflow[task.step]!;
    return {
      attemptId: attempt.id,
      bundle: { name: bundle, version, hash, archive: deployed.archive },
      executables: executablesOf(registry, job, task),
      step: task.step,
      input: await inputOf(task),
      parameters: { ...job.parameters, ...stepParameters(job, task) },
      directories: {
        cache: layout.cache,
        scratch: layout.scratch(job.id, attempt.id),
        result: layout.result(job.id, task.number),
        log: layout.log(job.id, task.number, attempt.number),
      },
      limits: {
        wallTime: wallTimeLimit,
        silence: silenceLimit,
        memoryMb: resources.memoryMb,
        outputBytes: outputLimit,
      },
      isolation,
      ...(image !== undefined && { image }),
      checksum: isLastStep(job, task.step),
    };
  };

  async function inputOf(task: Task): Promise<string> {
    if (task.input !== undefined) return task.input;
    if (task.source !== undefined) {
      const source = await store.task(task.jobId, task.source);
      const files = source ? outputPaths(source) : [];
      return files.length === 1 ? files[0]! : writeList(task, files);
    }
    const from = task.step === 'aggregate' ? 'process' : 'aggregate';
    const sources = await store.finishedTasks(task.jobId, from, task.firstPeriod);
    return writeList(task, sources.flatMap(outputPaths));
  }

  function outputPaths({ task, outputs = [] }: TaskView): string[] {
    return outputs.map(({ path }) => join(layout.result(task.jobId, task.number), path));
  }

  async function writeList(task: Task, paths: readonly string[]): Promise<string> {
    const file = layout.inputs(task.jobId, task.number);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, paths.map((path) => `${path}\n`).join(''));
    return file;
  }
}

/** Whether a step's outputs are what the job leaves to its user. */
export const isLastStep = ({ workflow }: Job, step: Step): boolean =>
  step === (workflow.format ? 'format' : workflow.aggregate ? 'aggregate' : 'process');

function executablesOf(registry: Registry, { process, workflow }: Job, { step }: Task) {
  const { bundle, processor } = registry.find(process);
  const aggregator = bundle.aggregators.find(({ name }) => name === workflow.aggregate?.processor);
  const isOfAggregator = step === 'aggregate' || (step === 'format' && aggregator);
  const {
    process: main,
    prepare,
    finalize,
    format,
  } = (isOfAggregator ? aggregator!.executables : processor.executables) satisfies Executables;
  if (step === 'format') return { main: format! };
  return { main, ...(prepare && { prepare }), ...(finalize && { finalize }) };
}

/** What only this task's parameters file says. Names of results follow specification C.9. */
function stepParameters(job: Job, task: Task): Record<string, string> {
  const { aggregate } = job.workflow;
  if (task.step === 'process') return {};
  if (task.source !== undefined) {
    const name = basename(task.key);
    return { outputName: name.slice(0, name.length - extname(name).length) };
  }
  const { from, to } = job.periods[task.firstPeriod]!;
  return {
    minDate: from,
    maxDate: to,
    outputName: `${job.parameters['outputPrefix'] ?? 'L3'}_${from}_${to}`,
    ...(task.partition !== undefined && {
      partition: String(task.partition),
      partitions: String(aggregate!.partitions),
    }),
  };
}
