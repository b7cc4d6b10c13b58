import type { Period } from '../core/model.ts';
import { daysBetween, periods } from '../core/periods.ts';
import { intersects, parseRegion, type Region } from '../core/region.ts';
import { messageOf, PushbroomError } from '../errors.ts';
import type { RegistryEntry } from '../processes/bundle.ts';
import { reads } from '../processes/describe.ts';
import { invalid } from '../processes/inputs.ts';
import type { Dataset } from '../products/dataset.ts';

/** A hundred years and some days: no archive is older, and a typing error is not worth the work. */
const MAX_DAYS = 36_600;

export type Values = ReadonlyMap<string, string>;

/** Runs what throws plain errors about an input's value. */
export function checked<T>(input: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalid(input, messageOf(error), error);
  }
}

export function findDataset(
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

export function readRange(values: Values, dataset: Dataset): Period | undefined {
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

export function readPeriods(
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

export function readRegion(values: Values, dataset: Dataset): Region | undefined {
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
