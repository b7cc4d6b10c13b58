import type { Job, Period } from '../core/model.ts';
import { daysBetween, isDay, MAX_PERIODS } from '../core/periods.ts';
import { PushbroomError } from '../errors.ts';
import type { RegistryEntry } from '../processes/bundle.ts';
import { describe, toInput } from '../processes/describe.ts';
import { invalid, valueFault } from '../processes/inputs.ts';
import { readL3Parameters } from '../processes/l3-parameters.ts';
import { parseParameters } from '../processes/parameters.ts';
import {
  checkRuns,
  L3_PARAMETERS,
  type ProductionType,
  readProduction,
} from '../processes/production.ts';
import type { Registry } from '../processes/registry.ts';
import { type Archive, readPatterns } from '../products/ad-hoc.ts';
import type { Dataset } from '../products/dataset.ts';
import { isRegionName } from '../products/patterns.ts';
import { assemble, type Circumstances } from './assemble.ts';
import { checked, findDataset, readPeriods, readRange, readRegion, type Values } from './extent.ts';

export interface ProductionResolution extends Circumstances {
  readonly type: ProductionType;
  readonly registry: Pick<Registry, 'bundles' | 'offered'>;
  /** Where products may be asked for by path patterns. */
  readonly archive: Archive;
}

/**
 * Turns a request in the production dialect into a job (specification B.6.3, C.3, C.4).
 *
 * @throws FORBIDDEN for anybody but operators; NOT_SUPPORTED for a type (locator `Identifier`) or parameter that would
 *   need what this service has not; MISSING_PARAMETER, INVALID_PARAMETER, NO_SUCH_PROCESS, NO_SUCH_DATASET (locator: the
 *   parameter)
 */
export function resolveProduction(resolution: ProductionResolution): Job {
  const { request, type, registry } = resolution;
  if (request.caller.role === 'user') {
    throw new PushbroomError(
      'FORBIDDEN',
      `Only operators may ask for productions of a type, as ${type.name}; a process is <bundle>~<version>~<processor>.`,
      { locator: 'Identifier' },
    );
  }
  checkRuns(type);
  const { values, settings, record } = readProduction(type, request.inputs);
  const entry = findProcessor(values, registry);
  const isAdHoc = values.has('inputPath');
  const dataset = datasetOf(values, entry, resolution);
  const days = readDays(values.get('dateList'));
  const range = days ? { from: days[0]!.from, to: days.at(-1)!.to } : readRange(values, dataset);
  if (isAdHoc) checkWork(dataset, days?.length ?? lengthOf(range));
  const outputFormat = readFormat(values, entry);
  const isL3 = type.workflow === 'L3';
  return assemble(resolution, {
    entry,
    settings,
    title: values.get('productionName'),
    dataset,
    isAdHoc,
    range,
    region: readRegion(withCorners(values), dataset),
    regionName: readRegionName(values) ?? dataset.regionName,
    periods: days ?? (isL3 ? readPeriods(values, range, dataset) : range ? [range] : []),
    aggregation: isL3 ? readAggregation(values) : undefined,
    parameters: readParameters(values, entry),
    outputFormat,
    // Products as the processor makes them are what the type, or the format of the reference's own files, stands for.
    isUnformatted: type.workflow === 'L2' || outputFormat === 'SEQ',
    record,
    productionType: type.name,
  });
}

function missing(name: string, message: string): PushbroomError {
  return new PushbroomError(
    'MISSING_PARAMETER',
    `The production parameter '${name}' is missing: ${message}`,
    { locator: name },
  );
}

function findProcessor(
  values: Values,
  registry: Pick<Registry, 'bundles' | 'offered'>,
): RegistryEntry {
  const processor = values.get('processorName');
  const bundle = findBundle(values, registry);
  if (processor === 'Formatting') {
    throw new PushbroomError(
      'NOT_SUPPORTED',
      "processorName 'Formatting': there is no program here that formats products, name one of a bundle.",
      { locator: 'processorName' },
    );
  }
  if (processor === undefined) {
    throw missing(
      'processorName',
      'this service has no programs of its own, name one of a bundle.',
    );
  }
  try {
    return registry.offered(`${bundle}~${processor}`);
  } catch (error) {
    if (!(error instanceof PushbroomError)) throw error;
    throw new PushbroomError(error.code, error.message, { locator: 'processorName', cause: error });
  }
}

/** `<name>~<version>` */
function findBundle(values: Values, registry: Pick<Registry, 'bundles'>): string {
  const name = values.get('processorBundleName');
  const version = values.get('processorBundleVersion');
  const others = values.get('processorBundles');
  if (name !== undefined && version === undefined) {
    throw missing('processorBundleVersion', `name the version of the bundle ${name}.`);
  }
  if (name !== undefined && others !== undefined) {
    throw new PushbroomError(
      'NOT_SUPPORTED',
      "The production parameter 'processorBundles': a job runs with one bundle; deploy one that has all it needs.",
      { locator: 'processorBundles' },
    );
  }
  if (name !== undefined) return `${name}~${version}`;
  if (others === undefined) {
    throw missing(
      'processorBundleName',
      'this service has no programs of its own, name the bundle of the processor and its version.',
    );
  }
  // Bundles may be named by where they lie; names and versions may both have hyphens.
  const wanted = others.slice(others.lastIndexOf('/') + 1);
  const found = registry.bundles().find((bundle) => `${bundle.name}-${bundle.version}` === wanted);
  if (!found) {
    throw invalid('processorBundles', `there is no bundle '${wanted.slice(0, 100)}' deployed`);
  }
  return `${found.name}~${found.version}`;
}

/** Names of datasets that requests make are shown, and may be long. */
const SHOWN = 200;

function datasetOf(
  values: Values,
  entry: RegistryEntry,
  { archive, datasets }: ProductionResolution,
): Dataset {
  const [path, name] = [values.get('inputPath'), values.get('inputDataSetName')];
  if (path !== undefined && name !== undefined) {
    throw invalid('inputDataSetName', 'inputPath is given, too: name the products by one of them');
  }
  if (name !== undefined) return findDataset(name, entry, datasets);
  if (path === undefined) {
    throw new PushbroomError(
      'MISSING_PARAMETER',
      "Missing request parameter: neither 'inputPath', 'inputTable' nor 'geoInventory' is given. Give inputPath or inputDataSetName.",
      { locator: 'inputPath' },
    );
  }
  return {
    name: values.get('collectionName') ?? path.slice(0, SHOWN),
    productType: values.get('inputProductType') ?? '',
    patterns: checked('inputPath', () => readPatterns(path, archive)),
  };
}

/** Each pattern is expanded for each day, all of them at once. */
const MOST_EXPANSIONS = 200_000;

const lengthOf = (range: Period | undefined): number =>
  range ? daysBetween(range.from, range.to) + 1 : 1;

function checkWork({ patterns }: Dataset, days: number): void {
  if (patterns.length * days <= MOST_EXPANSIONS) return;
  throw invalid(
    'inputPath',
    `${patterns.length} patterns for ${days} days are more than ${MOST_EXPANSIONS} places to look at: ask for fewer days`,
  );
}

/** Each day of a list as a range of its own, in order and once (specification B.6.3). */
function readDays(text: string | undefined): readonly Period[] | undefined {
  if (text === undefined) return undefined;
  const days = [...new Set(text.split(/[\s,]+/).filter((day) => day !== ''))].toSorted();
  if (days.length === 0) throw invalid('dateList', 'it has no day');
  if (days.length > MAX_PERIODS) throw invalid('dateList', `it has more than ${MAX_PERIODS} days`);
  const wrong = days.find((day) => !isDay(day));
  if (wrong !== undefined) {
    throw invalid('dateList', `'${wrong.slice(0, 100)}' is not a day as yyyy-MM-dd`);
  }
  return days.map((day) => ({ from: day, to: day }));
}

const CORNERS = ['minLon', 'minLat', 'maxLon', 'maxLat'] as const;

/** Four corners are another way to say the region. */
function withCorners(values: Values): Values {
  const given = CORNERS.filter((corner) => values.has(corner));
  if (given.length === 0) return values;
  if (values.has('regionWKT')) {
    throw invalid(given[0]!, 'regionWKT is given, too: give the region by one of them');
  }
  const lacking = CORNERS.find((corner) => !values.has(corner));
  if (lacking !== undefined) {
    throw missing(lacking, 'minLon, minLat, maxLon and maxLat go together.');
  }
  return new Map([...values, ['regionWKT', CORNERS.map((corner) => values.get(corner)).join(',')]]);
}

function readRegionName(values: Values): string | undefined {
  const name = values.get('regionName');
  if (name === undefined || isRegionName(name)) return name;
  throw invalid('regionName', 'it has a "/", begins with "." or "_", or is too long');
}

function readAggregation(values: Values) {
  const text = values.get(L3_PARAMETERS);
  if (text === undefined) throw missing(L3_PARAMETERS, 'it says how the products are aggregated.');
  return {
    ...checked(L3_PARAMETERS, () => readL3Parameters(text)),
    input: L3_PARAMETERS,
    outputPrefix: 'L3',
  };
}

/** What the descriptor says goes below what the request says (specification D.5). */
function readParameters(
  values: Values,
  { processor }: RegistryEntry,
): Readonly<Record<string, string>> {
  const input = 'processorParameters';
  const given = checked(input, () =>
    parseParameters(values.get(input) ?? processor.defaultParameters ?? ''),
  );
  if (processor.parameters.length === 0) return Object.fromEntries(given);
  const known = new Map(processor.parameters.map((each) => [each.name, toInput(each)]));
  for (const [name, value] of given) {
    const its = known.get(name);
    const fault = its ? valueFault(its, value) : `there are ${[...known.keys()].join(', ')}`;
    if (fault) throw invalid(input, `the parameter '${name}': ${fault}`);
  }
  const filled = [...known].map(([name, its]) => [name, given.get(name) ?? its.defaultValue]);
  return Object.fromEntries(filled.filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >;
}

function readFormat(values: Values, { bundle, processor }: RegistryEntry): string | undefined {
  const format = values.get('outputFormat');
  if (format === undefined || format === 'SEQ') return format ?? processor.outputFormats[0];
  const input = describe(bundle, processor, []).inputs.find(({ id }) => id === 'outputFormat')!;
  const fault = valueFault(input, format);
  if (fault) throw invalid('outputFormat', fault);
  return format;
}
