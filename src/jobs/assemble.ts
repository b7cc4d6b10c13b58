import type { Job, JobId, Millis, Period, Workflow } from '../core/model.ts';
import type { Policy } from '../core/policy.ts';
import type { Region } from '../core/region.ts';
import type { Aggregation } from '../processes/aggregation.ts';
import type { RegistryEntry } from '../processes/bundle.ts';
import { processId } from '../processes/descriptor.ts';
import type { Settings } from '../processes/settings.ts';
import type { Dataset } from '../products/dataset.ts';
import { readCeiling } from './ceiling.ts';
import type { ExecuteRequest } from './jobs.ts';
import { type JobDefaults, readGroup, readRetry, readWorkflow } from './plan.ts';

/** What a request meets, whichever dialect it speaks. */
export interface Circumstances {
  readonly request: ExecuteRequest;
  readonly datasets: readonly Dataset[];
  readonly defaults: JobDefaults;
  /** As it is now: names the groups that there are. */
  readonly policy: Policy;
  /** The id names the workflow (specification B.7.2), which is decided here. */
  readonly id: (workflow: Workflow['type']) => JobId;
  readonly acceptedAt: Millis;
}

/** What a request has been read as, whichever dialect it spoke. */
export interface Wish {
  readonly entry: RegistryEntry;
  /** Those of the request; the bundle's come below them. */
  readonly settings: Settings;
  readonly title: string | undefined;
  readonly dataset: Dataset;
  /** Whether the dataset is made of the request's own patterns. */
  readonly isAdHoc?: boolean;
  readonly range: Period | undefined;
  readonly region: Region | undefined;
  readonly regionName: string | undefined;
  readonly periods: readonly Period[];
  readonly aggregation:
    | (Aggregation & {
        /** The input that asks for it. */
        readonly input: string;
        /** Begins the names of results where no setting says it. */
        readonly outputPrefix: string;
      })
    | undefined;
  /** Of the processor, with defaults. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly outputFormat: string | undefined;
  /** Whether single products stay as the processor makes them, though the bundle could format them. */
  readonly isUnformatted?: boolean;
  readonly record: Readonly<Record<string, string>>;
  readonly productionType?: string;
}

/**
 * Makes the job of a wish: what the bundle and the defaults say goes below what the request says.
 *
 * The job's parameters are those of the processor and the framework's own: `outputFormat`, `regionWKT` and, where results
 * are aggregated, `spatialResolution`, `spatialRule`, `temporalRules`, `variables`, `validPixelExpression`, `outputPrefix`
 * and `outputPostfix`. The two kinds can not collide: bundles and requests that name a processor parameter like one of
 * the framework's are refused.
 *
 * @throws INVALID_PARAMETER (locator: the input)
 */
export function assemble(circumstances: Circumstances, wish: Wish): Job {
  const { request, defaults, policy } = circumstances;
  const { entry, region, outputFormat, aggregation, productionType } = wish;
  const { bundle, processor } = entry;
  const settings: Settings = { ...processor.settings, ...wish.settings };
  const workflow = readWorkflow(wish, settings, defaults);
  const maxCpuHours = readCeiling(wish, defaults, request.caller.role);
  return {
    id: circumstances.id(workflow.type),
    process: processId(bundle, processor.executableName),
    title: wish.title ?? generateTitle(workflow, wish),
    user: request.caller.user,
    group: readGroup(settings.group, policy, request.caller.user),
    priority: settings.priority ?? defaults.priority,
    acceptedAt: circumstances.acceptedAt,
    processor: {
      bundle: bundle.name,
      version: bundle.version,
      processor: processor.executableName,
      bundleHash: bundle.hash,
      ...(settings.image !== undefined && { image: settings.image }),
    },
    workflow,
    retry: readRetry(settings, defaults, workflow),
    products: productsOf(wish),
    periods: wish.periods,
    parameters: {
      ...wish.parameters,
      ...(aggregation && aggregationParameters(aggregation, settings)),
      ...(outputFormat !== undefined && { outputFormat }),
      ...(region && { regionWKT: region.wkt }),
    },
    ...(outputFormat !== undefined && { outputFormat }),
    inputs: wish.record,
    ...(request.caller.reference !== undefined && { reference: request.caller.reference }),
    ...(productionType !== undefined && { productionType }),
    ...(maxCpuHours !== undefined && { maxCpuHours }),
  };
}

const productsOf = ({ dataset, isAdHoc, range, region, regionName }: Wish): Job['products'] => ({
  dataset: dataset.name,
  productType: dataset.productType,
  ...(isAdHoc && { patterns: dataset.patterns }),
  ...(range && { range }),
  ...(region && { regionWkt: region.wkt }),
  ...(regionName !== undefined && { regionName }),
});

const aggregationParameters = (
  aggregation: NonNullable<Wish['aggregation']>,
  settings: Settings,
): Readonly<Record<string, string>> => ({
  spatialResolution: String(aggregation.spatialResolution),
  spatialRule: aggregation.spatialRule,
  temporalRules: aggregation.temporalRules,
  ...(aggregation.variables !== undefined && { variables: aggregation.variables }),
  validPixelExpression: aggregation.validPixelExpression,
  outputPrefix: settings.outputPrefix ?? aggregation.outputPrefix,
  ...(settings.outputPostfix !== undefined && { outputPostfix: settings.outputPostfix }),
});

/** E.g. `Level-3 Indices 2015-01-01 to 2015-12-31 (europe)` (specification B.6.3). */
function generateTitle({ type }: Workflow, { entry, range, regionName }: Wish): string {
  const level = type === 'L3' ? 'Level-3' : 'Level-2';
  const dates = range ? ` ${range.from} to ${range.to}` : '';
  const region = regionName === undefined ? '' : ` (${regionName})`;
  return `${level} ${entry.processor.executableName}${dates}${region}`;
}
