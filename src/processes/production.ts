import { isDay } from '../core/periods.ts';
import { PushbroomError } from '../errors.ts';
import type { Process, ProcessInput } from '../jobs/jobs.ts';
import { OUTPUTS } from './describe.ts';
import { invalid } from './inputs.ts';
import { isOneLine } from './parameters.ts';
import { isSetting, readSettings, type Settings } from './settings.ts';

/**
 * The production dialect: operators name a type of production in place of a process, and production parameters in place
 * of its inputs (specification B.1, B.6.3, C.2).
 */
export interface ProductionType {
  /** As this service writes it. */
  readonly name: string;
  /** What it does here; absent for types that do not run here. */
  readonly workflow?: 'L2' | 'L2Plus' | 'L3';
  /** What would be needed for a type that does not run here. */
  readonly missing?: string;
}

const BINS = 'bins of an earlier production, and this service keeps none';
const OWN = 'steps that are made for one project';

const TYPES: readonly ProductionType[] = [
  { name: 'L2', workflow: 'L2' },
  { name: 'L2Plus', workflow: 'L2Plus' },
  { name: 'L2F', workflow: 'L2Plus' },
  { name: 'L3', workflow: 'L3' },
  ...['L3F', 'L3MultiRegion', 'L3MultiBand', 'Cell', 'CellL3'].map((name) => ({
    name,
    missing: BINS,
  })),
  { name: 'RA', missing: 'statistics over regions' },
  { name: 'TA', missing: 'statistics over regions and time' },
  { name: 'MA', missing: 'match-ups with a table of points' },
  { name: 'MACompare', missing: 'match-ups with a table of points' },
  { name: 'QL', missing: 'quick-looks as a production of their own' },
  { name: 'VC', missing: 'vicarious calibration' },
  { name: 'GeoDB', missing: 'a spatial index of products' },
  { name: 'Inventory', missing: 'a spatial index of products' },
  { name: 'Geometry', missing: 'a spatial index of products' },
  { name: 'Combinations', missing: 'tasks made of combinations of parameters' },
  { name: 'MR', missing: 'classes of Hadoop that a request brings' },
  ...['L2toL3', 'Bootstrapping', 'Prevue', 'LcL3', 'LcL3-SR', 'LcL3-Form'].map((name) => ({
    name,
    missing: OWN,
  })),
];

/** The names of the newer command line (specification B.11). */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['processing', 'l2'],
  ['l2-proc', 'l2'],
  ['l2-form', 'l2f'],
  ['l3-agg', 'l3'],
  ['l3-form', 'l3f'],
]);

const BY_NAME = new Map(TYPES.map((type) => [type.name.toLowerCase(), type]));

/** The production type of that name, in any case; `undefined` for what is none, as the identifier of a process. */
export function productionType(identifier: string): ProductionType | undefined {
  const name = identifier.trim().toLowerCase();
  return BY_NAME.get(ALIASES.get(name) ?? name);
}

const input = (
  id: string,
  description: string,
  type: ProcessInput['type'] = 'string',
): ProcessInput => ({ id, title: id, description, type, required: false });

const COMMON: readonly ProcessInput[] = [
  input('productionName', 'The name of the production; generated if not given'),
  input('inputPath', 'Path patterns of the products, with commas in between'),
  input('inputDataSetName', 'A dataset of the service, in place of inputPath'),
  input('collectionName', 'What the products of inputPath are called in reports'),
  input('inputProductType', 'The type of the products of inputPath'),
  input('minDate', 'First day', 'date'),
  input('maxDate', 'Last day, inclusive', 'date'),
  input('dateList', 'Single days with blanks in between, in place of minDate and maxDate'),
  input('regionName', 'Stands for ${region} in path patterns'),
  input('regionWKT', 'The region as WKT, longitude first', 'wkt'),
  input('minLon', 'With minLat, maxLon and maxLat in place of regionWKT', 'number'),
  input('minLat', 'See minLon', 'number'),
  input('maxLon', 'See minLon', 'number'),
  input('maxLat', 'See minLon', 'number'),
  input('processorBundleName', 'The bundle of the processor'),
  input('processorBundleVersion', 'Its version'),
  input('processorBundles', 'The bundle as <name>-<version>, in place of the two'),
  input('processorName', 'The executable name of the processor'),
  input('processorParameters', 'Its parameters as XML or lines key=value'),
  input('outputFormat', 'The format of the results'),
];

export const L3_PARAMETERS = 'calvalus.l3.parameters';

const OF_L3: readonly ProcessInput[] = [
  input('periodLength', 'From the start of one period to the next; by default one period'),
  input('compositingPeriodLength', 'The length of each period; by default periodLength'),
  input(L3_PARAMETERS, 'How products are aggregated, as XML', 'string'),
];

const inputsOf = ({ workflow }: ProductionType): readonly ProcessInput[] =>
  workflow === 'L3' ? [...COMMON, ...OF_L3] : COMMON;

/** @throws NOT_SUPPORTED for a type that does not run here, with what would be needed */
export function checkRuns({ name, workflow, missing = OWN }: ProductionType): void {
  if (workflow) return;
  const running = TYPES.filter((type) => type.workflow).map((type) => type.name);
  throw new PushbroomError(
    'NOT_SUPPORTED',
    `Productions of the type ${name} do not run here yet: they need ${missing}. Those of ${running.join(', ')} do.`,
    { locator: 'Identifier' },
  );
}

/** @throws NOT_SUPPORTED */
export function describeProduction(type: ProductionType): Process {
  checkRuns(type);
  return {
    id: type.name,
    title: `Production ${type.name}`,
    description: 'A production with its parameters, for operators',
    version: '1.0',
    inputs: inputsOf(type),
    outputs: OUTPUTS,
    isOpen: true,
  };
}

/** Other spellings: of tasks, as the reference is given them, and those that the gateway dialect takes as well. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['calvalus.output.format', 'outputFormat'],
  ['calvalus.l2.parameters', 'processorParameters'],
  ['inputDatasetName', 'inputDataSetName'],
  ['inputDataSet', 'inputDataSetName'],
  ['regionWkt', 'regionWKT'],
]);

/**
 * What says nothing about the content of results: where Calvalus puts them, how Hadoop and SNAP run, what Calvalus makes
 * beside them. Its own settings (`settings.ts`) are taken out of `calvalus.hadoop.` before.
 */
const WITHOUT_EFFECT: readonly string[] = [
  'productionType',
  'outputDir',
  'outputPath',
  'outputVersion',
  'autoStaging',
  'quicklooks',
  'processorDescription',
  'processorBundleLocation',
  'overwrite',
  'calvalus.output.dir',
  'calvalus.output.version',
  'calvalus.ql.parameters',
  'calvalus.resume',
  'calvalus.processAll',
  'calvalus.calvalus.bundle',
  'calvalus.beam.bundle',
  'calvalus.snap.bundle',
  'calvalus.logs.maxSizeKb',
];
const WITHOUT_EFFECT_BEGIN: readonly string[] = [
  '_T2',
  'calvalus.hadoop.',
  'calvalus.system.',
  'calvalus.wps.',
  'calvalus.portal.',
  'calvalus.queue.',
  'calvalus.crypt.',
];
const COMPRESSION = 'calvalus.output.compression';

const hasNoEffect = (name: string, value: string): boolean =>
  WITHOUT_EFFECT.includes(name) ||
  WITHOUT_EFFECT_BEGIN.some((beginning) => name.startsWith(beginning)) ||
  (name === COMPRESSION && value === 'none');

/** What we say more about than that it is not understood. */
const REASONS: ReadonlyMap<string, string> = new Map([
  [
    'geoInventory',
    'there is no spatial index here: name the products by inputPath or inputDataSetName',
  ],
  ['inputTable', 'tables of products are not read: name them by inputPath'],
  [COMPRESSION, 'results are not compressed: give none'],
  ['calvalus.input.format', 'processors open their products themselves'],
  ['calvalus.output.regex', 'results keep the names that the processor gives them'],
]);

export interface GivenProduction {
  /** By the names of `describeProduction`, trimmed; what is blank is absent. */
  readonly values: ReadonlyMap<string, string>;
  readonly settings: Settings;
  /** As they came in, without the portal's own. */
  readonly record: Readonly<Record<string, string>>;
}

const FREE_TEXTS: ReadonlySet<string> = new Set([
  'processorParameters',
  'regionWKT',
  'dateList',
  'inputPath',
  L3_PARAMETERS,
]);

/**
 * Sorts production parameters: those that are understood, those that say how tasks run, and those that say nothing about
 * the results, which are recorded alone (docs/requests.md has the list). All others might change the results, and so
 * they are refused.
 *
 * @throws NOT_SUPPORTED, INVALID_PARAMETER (locator: the parameter as the request spells it)
 */
export function readProduction(
  type: ProductionType,
  inputs: Readonly<Record<string, string>>,
): GivenProduction {
  const known = new Map(inputsOf(type).map((each) => [each.id, each]));
  const values = new Map<string, string>();
  const settings: [string, string][] = [];
  const record: [string, string][] = [];
  for (const [name, raw] of Object.entries(inputs)) {
    if (!name.startsWith('_T2')) record.push([name, raw]);
    const value = raw.trim();
    const id = SPELLINGS.get(name) ?? name;
    if (value === '') continue;
    if (isSetting(name)) settings.push([name, value]);
    else if (known.has(id)) put(values, id, name, value);
    else if (!hasNoEffect(name, value)) throw notUnderstood(type, name);
  }
  const fail = (name: string, message: string) => {
    throw invalid(name, message);
  };
  return { values, settings: readSettings(settings, fail), record: Object.fromEntries(record) };
}

function put(values: Map<string, string>, id: string, name: string, value: string): void {
  const before = values.get(id);
  if (before !== undefined && before !== value) {
    throw invalid(name, `the parameter '${id}' is given twice with different values`);
  }
  if (!FREE_TEXTS.has(id) && !isOneLine(value)) {
    throw invalid(name, 'the value is not one line of text');
  }
  if ((id === 'minDate' || id === 'maxDate') && !isDay(value)) {
    throw invalid(name, `'${value.slice(0, 100)}' is not a day as yyyy-MM-dd`);
  }
  values.set(id, value);
}

function notUnderstood(type: ProductionType, name: string): PushbroomError {
  const shown = name.slice(0, 100);
  const reason =
    REASONS.get(name) ?? 'it is not understood here, and might change the results: leave it out';
  const known = inputsOf(type).map(({ id }) => id);
  const more = REASONS.has(name) ? '' : ` There are ${known.join(', ')} and those for tasks.`;
  return new PushbroomError(
    'NOT_SUPPORTED',
    `The production parameter '${shown}': ${reason}.${more}`,
    {
      locator: shown,
    },
  );
}
