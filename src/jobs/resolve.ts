import type { Job, JobId, Millis, Period, RetryPolicy, StepPlan, Workflow } from '../core/model.ts';
import { daysBetween, periods } from '../core/periods.ts';
import { groupOf, jobGroups } from '../core/policy.ts';
import type { Policy } from '../core/policy.ts';
import { intersects, parseRegion, type Region } from '../core/region.ts';
import { messageOf, PushbroomError } from '../errors.ts';
import type { DeployedAggregator, RegistryEntry } from '../processes/bundle.ts';
import { type Aggregation, readAggregation } from '../processes/aggregation.ts';
import { RESERVED_PARAMETERS } from '../processes/descriptor.ts';
import { describe, reads } from '../processes/describe.ts';
import { invalid, readInputs } from '../processes/inputs.ts';
import { parseParameters } from '../processes/parameters.ts';
import { QUEUE, type Settings } from '../processes/settings.ts';
import type { Dataset } from '../products/dataset.ts';
import type { ExecuteRequest, Process } from './jobs.ts';

/** What holds for a job where neither its bundle nor its request says otherwise. */
export interface JobDefaults {
  readonly maxAttempts: number;
  readonly maxLosses: number;
  readonly failurePercent: number;
  /** Seconds. */
  readonly retryDelay: number;
  readonly maxRetryDelay: number;
  /** Seconds. */
  readonly wallTimeLimit: number;
  readonly silenceLimit: number;
  readonly cpus: number;
  readonly memoryMb: number;
  /** What retries of a task that needs more memory may grow to; four times what it has at first where it is absent. */
  readonly maxMemoryMb?: number;
  readonly priority: number;
}

export interface Resolution {
  readonly request: ExecuteRequest;
  /** What the request's process stands for. */
  readonly entry: RegistryEntry;
  readonly datasets: readonly Dataset[];
  readonly defaults: JobDefaults;
  /** As it is now: names the groups that there are. */
  readonly policy: Policy;
  /** The id names the workflow (specification B.7.2), which is decided here. */
  readonly id: (workflow: Workflow['type']) => JobId;
  readonly acceptedAt: Millis;
}

/** A hundred years and some days: no archive is older, and a typing error is not worth the work. */
const MAX_DAYS = 36_600;
const PARTITIONS = 8;
const MEMORY_GROWTH = 4;
/** Groups that are named to who asks for another one. */
const SHOWN_GROUPS = 20;

type Values = ReadonlyMap<string, string>;

/**
 * Turns a request into a job: fills in what the bundle, the dataset and the defaults say, and refuses what can not be
 * run, all before anything is stored (specification B.6).
 *
 * The job's parameters are those of the processor, with defaults, and the framework's own: `outputFormat`,
 * `regionWKT` and, where results are aggregated, `spatialResolution`, `spatialRule`, `temporalRules`, `variables`,
 * `validPixelExpression` and `outputPrefix`. The two kinds can not collide: bundles and requests that name a processor
 * parameter like one of the framework's are refused.
 *
 * @throws MISSING_PARAMETER, INVALID_PARAMETER (locator: the input), NO_SUCH_DATASET
 */
export function resolve(resolution: Resolution): Job {
  const { request, entry, datasets, defaults, policy } = resolution;
  const { bundle, processor } = entry;
  const process = describe(bundle, processor, datasets);
  const given = readInputs(process, request.inputs);
  const { values } = given;
  const dataset = findDataset(values.get('inputDataSetName') ?? '', entry, datasets);
  const aggregation = checked('spatioTemporalAggregationParameters', () =>
    readAggregation(processor, values.get('spatioTemporalAggregationParameters')),
  );
  const settings: Settings = { ...processor.settings, ...given.settings };
  const range = readRange(values, dataset);
  const region = readRegion(values, dataset);
  const workflow = readWorkflow(entry, aggregation, settings, defaults);
  const outputFormat = values.get('outputFormat') ?? processor.outputFormats[0];
  return {
    id: resolution.id(workflow.type),
    process: process.id,
    title:
      values.get('productionName') ??
      generateTitle(workflow, processor.executableName, range, dataset),
    user: request.caller.user,
    group: readGroup(settings.group, policy, request.caller.user),
    priority: settings.priority ?? defaults.priority,
    acceptedAt: resolution.acceptedAt,
    processor: {
      bundle: bundle.name,
      version: bundle.version,
      processor: processor.executableName,
      bundleHash: bundle.hash,
      ...(settings.image !== undefined && { image: settings.image }),
    },
    workflow,
    retry: readRetry(settings, defaults, workflow),
    products: {
      dataset: dataset.name,
      productType: dataset.productType,
      ...(range && { range }),
      ...(region && { regionWkt: region.wkt }),
      ...(dataset.regionName !== undefined && { regionName: dataset.regionName }),
    },
    periods: aggregation ? readPeriods(values, range, dataset) : range ? [range] : [],
    parameters: {
      ...readParameters(process, values),
      ...(aggregation && aggregationParameters(aggregation, settings, values)),
      ...(outputFormat !== undefined && { outputFormat }),
      ...(region && { regionWKT: region.wkt }),
    },
    ...(outputFormat !== undefined && { outputFormat }),
    inputs: given.record,
    ...(request.caller.reference !== undefined && { reference: request.caller.reference }),
  };
}

/** Runs what throws plain errors about an input's value. */
function checked<T>(input: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalid(input, messageOf(error), error);
  }
}

function findDataset(
  name: string,
  { processor }: RegistryEntry,
  datasets: readonly Dataset[],
): Dataset {
  const named = datasets.filter((dataset) => dataset.name === name);
  const found = named.find((dataset) => reads(processor, dataset));
  if (found) return found;
  const others = datasets
    .filter((dataset) => reads(processor, dataset))
    .map((dataset) => dataset.name);
  const shown = others.slice(0, 10).join(', ') + (others.length > 10 ? ', ...' : '');
  const reason =
    named.length > 0
      ? `The dataset '${name}' has products of type ${named.map((dataset) => dataset.productType).join(', ')}, ` +
        `${processor.executableName} reads ${processor.inputProductTypes.join(', ')}.`
      : `There is no dataset '${name.slice(0, 100)}'.`;
  const remedy = others.length > 0 ? `Datasets for it: ${shown}.` : 'No dataset has such products.';
  throw new PushbroomError('NO_SUCH_DATASET', `${reason} ${remedy}`, {
    locator: 'inputDataSetName',
  });
}

function readRange(values: Values, dataset: Dataset): Period | undefined {
  const from = values.get('minDate') ?? dataset.minDate;
  const to = values.get('maxDate') ?? dataset.maxDate;
  if (from === undefined && to === undefined) return undefined;
  if (from === undefined || to === undefined) {
    const missing = from === undefined ? 'minDate' : 'maxDate';
    throw new PushbroomError(
      'MISSING_PARAMETER',
      `The input '${missing}' is missing: the dataset '${dataset.name}' does not say it.`,
      { locator: missing },
    );
  }
  if (dataset.minDate !== undefined && to < dataset.minDate) {
    throw invalid(
      'maxDate',
      `the dataset '${dataset.name}' begins on ${dataset.minDate}, after ${to}`,
    );
  }
  if (dataset.maxDate !== undefined && from > dataset.maxDate) {
    throw invalid(
      'minDate',
      `the dataset '${dataset.name}' ends on ${dataset.maxDate}, before ${from}`,
    );
  }
  const length = daysBetween(from, to);
  if (length < 0) throw invalid('minDate', `the range from ${from} to ${to} is empty`);
  if (length > MAX_DAYS) {
    throw invalid('minDate', `the range from ${from} to ${to} is longer than a hundred years`);
  }
  return { from, to };
}

function readPeriods(
  values: Values,
  range: Period | undefined,
  dataset: Dataset,
): readonly Period[] {
  if (!range) {
    throw new PushbroomError(
      'MISSING_PARAMETER',
      `No time ranges specified. The dataset '${dataset.name}' has no dates: give minDate and maxDate.`,
      { locator: 'minDate' },
    );
  }
  const periodLength = values.get('periodLength');
  const compositing = values.get('compositingPeriodLength');
  if (periodLength === undefined && compositing === undefined) return [range];
  // One period by default: floor((max - min + 1.5 days) / 1 day), with whole days (specification B.6.4).
  const stepping = periodLength ?? String(daysBetween(range.from, range.to) + 1);
  const locator = periodLength === undefined ? 'compositingPeriodLength' : 'periodLength';
  return checked(locator, () => periods(range, stepping, compositing));
}

function readRegion(values: Values, dataset: Dataset): Region | undefined {
  const text = values.get('regionWKT');
  if (text === undefined) return undefined;
  const region = checked('regionWKT', () => parseRegion(text));
  const footprint = dataset.regionWkt === undefined ? undefined : parseRegion(dataset.regionWkt);
  if (footprint && !intersects(region, footprint)) {
    const [west, south, east, north] = footprint.box;
    throw invalid(
      'regionWKT',
      `the region does not touch the dataset '${dataset.name}', which lies within longitudes ${west} to ${east} ` +
        `and latitudes ${south} to ${north}`,
    );
  }
  return region;
}

function readWorkflow(
  { bundle, processor }: RegistryEntry,
  aggregation: Aggregation | undefined,
  settings: Settings,
  defaults: JobDefaults,
): Workflow {
  const alike = planStep(settings.memoryMb, settings, defaults);
  const { gpus } = settings;
  const process = gpus ? { ...alike, resources: { ...alike.resources, gpus } } : alike;
  if (!aggregation) {
    const formats = processor.formatting !== 'IMPLICIT' && processor.executables.format;
    return { type: 'L2Plus', process, ...(formats && { format: alike }) };
  }
  const aggregator = findAggregator(aggregation, bundle.aggregators);
  const aggregate = planStep(settings.aggregateMemoryMb ?? settings.memoryMb, settings, defaults);
  const format = aggregator.executables.format !== undefined;
  const partitions = settings.partitions ?? (format ? PARTITIONS : 1);
  return {
    type: 'L3',
    process,
    aggregate: { ...aggregate, processor: aggregator.name, partitions },
    ...(format && { format: aggregate }),
  };
}

function planStep(
  memoryMb: number | undefined,
  settings: Settings,
  defaults: JobDefaults,
): StepPlan {
  const silenceLimit = settings.silenceLimit ?? defaults.silenceLimit;
  return {
    resources: { cpus: defaults.cpus, memoryMb: memoryMb ?? defaults.memoryMb },
    // Who may be silent for so long is expected to run at least as long.
    wallTimeLimit: settings.wallTimeLimit ?? Math.max(defaults.wallTimeLimit, silenceLimit),
    silenceLimit,
  };
}

function findAggregator(
  { aggregators: names, temporalRules }: Aggregation,
  offered: readonly DeployedAggregator[],
): DeployedAggregator {
  const input = 'spatioTemporalAggregationParameters';
  const there = offered.map(({ name }) => name).join(', ') || 'none';
  const unknown = names.find((name) => !offered.some((aggregator) => aggregator.name === name));
  if (unknown !== undefined) {
    throw invalid(
      input,
      `temporalRules names the aggregator '${unknown}'; the bundle has ${there}`,
    );
  }
  if (names.length !== 1) {
    throw invalid(
      input,
      `temporalRules '${temporalRules}' names ${names.length} aggregators; only one is supported yet`,
    );
  }
  return offered.find((aggregator) => aggregator.name === names[0])!;
}

function readRetry(
  settings: Settings,
  defaults: JobDefaults,
  { process, aggregate }: Workflow,
): RetryPolicy {
  const memoryMb = Math.max(process.resources.memoryMb, aggregate?.resources.memoryMb ?? 0);
  return {
    maxAttempts: settings.maxAttempts ?? defaults.maxAttempts,
    maxLosses: defaults.maxLosses,
    delay: defaults.retryDelay,
    maxDelay: defaults.maxRetryDelay,
    maxMemoryMb: Math.max(memoryMb, defaults.maxMemoryMb ?? MEMORY_GROWTH * memoryMb),
    failurePercent: settings.failurePercent ?? defaults.failurePercent,
  };
}

/**
 * Requests and bundles of Calvalus name a queue by the last part of its path alone (specification C.8). They name it also
 * to services that have no groups, where it means nothing.
 */
function readGroup(named: string | undefined, policy: Policy, user: string): string {
  if (named === undefined || policy.groups.length === 0) return groupOf(policy, user);
  const groups = jobGroups(policy);
  if (groups.includes(named)) return named;
  const alike = groups.filter((path) => path.endsWith(`/${named}`));
  if (alike.length === 1) return alike[0]!;
  const known = alike.length > 0 ? alike : groups;
  const shown =
    known.slice(0, SHOWN_GROUPS).join(', ') + (known.length > SHOWN_GROUPS ? ', ...' : '');
  throw invalid(
    QUEUE,
    alike.length > 0
      ? `'${named}' could be any of ${shown}`
      : `there is no group '${named}' for jobs; there are ${shown}`,
  );
}

function readParameters(process: Process, values: Values): Readonly<Record<string, string>> {
  const free = process.inputs.find((input) => input.id === 'processorParameters');
  if (free) {
    const text = values.get(free.id) ?? free.defaultValue ?? '';
    return Object.fromEntries(checked(free.id, () => parseParameters(text)));
  }
  const own = process.inputs.filter((input) => !RESERVED_PARAMETERS.has(input.id));
  const filled = own.map(({ id, defaultValue }) => [id, values.get(id) ?? defaultValue] as const);
  return Object.fromEntries(
    filled.filter((pair): pair is readonly [string, string] => pair[1] !== undefined),
  );
}

function aggregationParameters(
  aggregation: Aggregation,
  settings: Settings,
  values: Values,
): Readonly<Record<string, string>> {
  return {
    spatialResolution: String(aggregation.spatialResolution),
    spatialRule: aggregation.spatialRule,
    temporalRules: aggregation.temporalRules,
    ...(aggregation.variables !== undefined && { variables: aggregation.variables }),
    validPixelExpression: aggregation.validPixelExpression,
    outputPrefix: settings.outputPrefix ?? asFileName(values.get('productionName') ?? ''),
  };
}

/** `L3` is what Calvalus begins names with where there is nothing better (specification C.9). */
const asFileName = (title: string): string =>
  title
    .replaceAll(/[^\p{L}\p{N}._+-]+/gu, '_')
    .replace(/^\.+/, '')
    .slice(0, 100) || 'L3';

/** E.g. `Level-3 Indices 2015-01-01 to 2015-12-31 (europe)` (specification B.6.3). */
function generateTitle(
  { type }: Workflow,
  processor: string,
  range: Period | undefined,
  { regionName }: Dataset,
): string {
  const level = type === 'L3' ? 'Level-3' : 'Level-2';
  const dates = range ? ` ${range.from} to ${range.to}` : '';
  return `${level} ${processor}${dates}${regionName === undefined ? '' : ` (${regionName})`}`;
}
