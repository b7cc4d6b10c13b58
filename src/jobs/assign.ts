import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, extname } from 'node:path';

import type { Attempt, EngineId, Job, Resources, Step, Task } from '../core/model.ts';
import type { Layout } from '../layout.ts';
import type { Executables } from '../processes/executables.ts';
import type { Registry } from '../processes/registry.ts';
import type { Assignment } from '../runner/assignment.ts';
import { isUrl, joinLocation, parseUrl } from '../storage/location.ts';
import type { StorageAccess, Storages } from '../storage/storage.ts';
import type { Store, TaskView } from '../store/store.ts';

export interface AssignOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly layout: Layout;
  readonly storages: Storages;
  /** How the storage of a URL is reached from nodes. */
  readonly access: (location: string) => Promise<StorageAccess | undefined>;
  /** Where an engine's nodes read a product of a job. */
  readonly pathFor: (job: Job, engine: EngineId, path: string) => string;
  readonly isolation: Assignment['isolation'];
  /** Bytes of stdout and stderr of one attempt. */
  readonly outputLimit: number;
}

/** Says what a runner has to do for a task: the bridge between the scheduler's numbers and files on a node. */
export function createAssigner(options: AssignOptions) {
  const { store, registry, layout, storages, access, isolation, outputLimit } = options;
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
    const input = await inputOf(job, task, attempt);
    const result = layout.result(job.id, task.number);
    return {
      attemptId: attempt.id,
      bundle: { name: bundle, version, hash, archive: deployed.archive },
      executables: executablesOf(registry, job, task),
      step: task.step,
      ...input,
      // What a list names lies where the results do.
      ...(await accesses(access, [input.input, result])),
      parameters: { ...job.parameters, ...stepParameters(job, task) },
      directories: {
        cache: layout.cache,
        scratch: layout.scratch(job.id, attempt.id),
        result,
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

  async function inputOf(job: Job, task: Task, { engine }: Attempt): Promise<Input> {
    if (task.input !== undefined) return { input: options.pathFor(job, engine, task.input) };
    if (task.source !== undefined) {
      const source = await store.task(task.jobId, task.source);
      const files = source ? outputPaths(source) : [];
      return files.length === 1 ? { input: files[0]! } : listOf(task, files);
    }
    const from = task.step === 'aggregate' ? 'process' : 'aggregate';
    const sources = await store.finishedTasks(task.jobId, from, task.firstPeriod);
    return listOf(task, sources.flatMap(outputPaths));
  }

  function listOf({ jobId, number }: Task, paths: readonly string[]): Promise<Input> {
    return writeList(storages, layout.inputs(jobId, number), paths);
  }

  function outputPaths({ task, outputs = [] }: TaskView): string[] {
    return outputs.map(({ path }) => joinLocation(layout.result(task.jobId, task.number), path));
  }
}

type Input = Pick<Assignment, 'input' | 'isList'>;

async function writeList(
  storages: Storages,
  file: string,
  locations: readonly string[],
): Promise<Input> {
  const text = locations.map((location) => `${location}\n`).join('');
  if (isUrl(file)) {
    await storages.of(file).write(file, Buffer.from(text));
  } else {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  return { input: file, isList: true };
}

async function accesses(
  access: AssignOptions['access'],
  locations: readonly string[],
): Promise<Pick<Assignment, 'storages'>> {
  const needed = new Map<string, StorageAccess>();
  // Other URLs are fetched by whoever can: a bundle's `prepare`, the cluster.
  for (const location of locations.filter((each) => parseUrl(each)?.scheme === 'hdfs')) {
    const its = await access(location);
    if (!its) throw new Error(`${location} is on no storage that nodes can reach`);
    needed.set(its.name, its);
  }
  return needed.size > 0 ? { storages: [...needed.values()] } : {};
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
  const { outputPrefix = 'L3', outputPostfix = '' } = job.parameters;
  return {
    minDate: from,
    maxDate: to,
    outputName: `${outputPrefix}_${from}_${to}${outputPostfix}`,
    ...(task.partition !== undefined && {
      partition: String(task.partition),
      partitions: String(aggregate!.partitions),
    }),
  };
}
