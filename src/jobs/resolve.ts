import type { Job } from '../core/model.ts';
import { readAggregation } from '../processes/aggregation.ts';
import type { RegistryEntry } from '../processes/bundle.ts';
import { RESERVED_PARAMETERS } from '../processes/descriptor.ts';
import { describe } from '../processes/describe.ts';
import { readInputs } from '../processes/inputs.ts';
import { parseParameters } from '../processes/parameters.ts';
import { assemble, type Circumstances } from './assemble.ts';
import { checked, findDataset, readPeriods, readRange, readRegion, type Values } from './extent.ts';
import type { Process } from './jobs.ts';

export interface Resolution extends Circumstances {
  /** What the request's process stands for. */
  readonly entry: RegistryEntry;
}

const AGGREGATION = 'spatioTemporalAggregationParameters';

/**
 * Turns a request for a process into a job: fills in what the bundle, the dataset and the defaults say, and refuses what
 * can not be run, all before anything is stored (specification B.6).
 *
 * @throws MISSING_PARAMETER, INVALID_PARAMETER (locator: the input), NO_SUCH_DATASET
 */
export function resolve(resolution: Resolution): Job {
  const { request, entry, datasets } = resolution;
  const { bundle, processor } = entry;
  const process = describe(bundle, processor, datasets);
  const given = readInputs(process, request.inputs, request.caller.role);
  const { values } = given;
  const dataset = findDataset(values.get('inputDataSetName') ?? '', entry, datasets);
  const aggregation = checked(AGGREGATION, () =>
    readAggregation(processor, values.get(AGGREGATION)),
  );
  const range = readRange(values, dataset);
  const title = values.get('productionName');
  return assemble(resolution, {
    entry,
    settings: given.settings,
    title,
    dataset,
    range,
    region: readRegion(values, dataset),
    regionName: dataset.regionName,
    periods: aggregation ? readPeriods(values, range, dataset) : range ? [range] : [],
    aggregation: aggregation && {
      ...aggregation,
      input: AGGREGATION,
      outputPrefix: asFileName(title ?? ''),
    },
    parameters: readParameters(process, values),
    outputFormat: values.get('outputFormat') ?? processor.outputFormats[0],
    record: given.record,
  });
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

/** `L3` is what Calvalus begins names with where there is nothing better (specification C.9). */
const asFileName = (title: string): string =>
  title
    .replaceAll(/[^\p{L}\p{N}._+-]+/gu, '_')
    .replace(/^\.+/, '')
    .slice(0, 100) || 'L3';
