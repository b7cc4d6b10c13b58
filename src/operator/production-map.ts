import { messageOf, PushbroomError } from '../errors.ts';
import { invalid } from '../processes/inputs.ts';
import { L3_PARAMETERS } from '../processes/production.ts';
import { element, type Xml } from '../xml.ts';

/** Parameters of a production as JSON and YAML give them. */
export type ProductionMap = Readonly<Record<string, unknown>>;

/** A request as jobs take it. */
export interface MappedRequest {
  readonly process: string;
  readonly inputs: Readonly<Record<string, string>>;
}

const HADOOP = 'calvalus.hadoop.';

/** What a friendly name stands for; names that are not here are production parameters as they are. */
const NAMES: Readonly<Record<string, string>> = {
  inputInventory: 'geoInventory',
  catalogue: 'geoInventory',
  collection: 'collectionName',
  period: 'periodLength',
  compositingPeriod: 'compositingPeriodLength',
  regionGeometry: 'regionWKT',
  aggregationParameters: L3_PARAMETERS,
  combinations: 'calvalus.combinations.config',
  inputFormat: 'calvalus.input.format',
  forceReprocess: 'calvalus.processAll',
  outputDir: 'calvalus.output.dir',
  outputVersion: 'calvalus.output.version',
  outputCompression: 'calvalus.output.compression',
  outputRegex: 'calvalus.output.regex',
  outputReplacement: 'calvalus.output.replacement',
  outputCrs: 'calvalus.output.crs',
  outputBands: 'calvalus.output.bandList',
  replaceNanValue: 'calvalus.output.replaceNanValue',
  outputReplication: `${HADOOP}dfs.replication`,
  outputUmask: `${HADOOP}fs.permissions.umask-mode`,
  queue: `${HADOOP}mapreduce.job.queuename`,
  attempts: `${HADOOP}mapreduce.map.maxattempts`,
  failurePercent: `${HADOOP}mapreduce.map.failures.maxpercent`,
  calvalus: 'calvalus.calvalus.bundle',
  calvalusBundle: 'calvalus.calvalus.bundle',
  snap: 'calvalus.snap.bundle',
  snapBundle: 'calvalus.snap.bundle',
  'snap.tileCache': 'calvalus.system.snap.jai.tileCacheSize',
};

type Pair = readonly [name: string, value: string];

/** Friendly names whose values change with them. */
const FUNCTIONS: Readonly<Record<string, (name: string, value: string) => readonly Pair[]>> = {
  dateRanges: (name, value) => rangesOf(name, value),
  timeout: (name, value) => [
    [`${HADOOP}mapreduce.task.timeout`, `${1000 * wholeNumber(name, value)}`],
  ],
  processingMemory: (name, value) => [
    [`${HADOOP}mapreduce.map.memory.mb`, memoryOf(wholeNumber(name, value))],
  ],
  aggregationMemory: (name, value) => [
    [`${HADOOP}mapreduce.reduce.memory.mb`, memoryOf(wholeNumber(name, value))],
  ],
  // None is what types without aggregation say.
  maxReducers: (_, value) => (value === '0' ? [] : [['calvalus.l3.reducers', value]]),
};

/** Beside its heap a process needs so many MB more (specification B.11). */
const memoryOf = (heap: number): string => String(heap + 512);

/** Scheduler parameters that are given under their own names. */
const isOfHadoop = (name: string): boolean => /^(?:mapreduce|mapred|dfs|fs|yarn)\./.test(name);

/**
 * Reads a request that is a map of production parameters: those of specification B.6.3, or the friendly names of B.11.
 * Values are texts, numbers, truth values, lists (joined by commas) or maps (made XML).
 *
 * @throws MISSING_PARAMETER without `productionType`, INVALID_PARAMETER (locator: the name in the map)
 */
export function readProductionMap({ productionType, ...parameters }: ProductionMap): MappedRequest {
  const process = textOf('productionType', productionType);
  if (process === '') {
    throw new PushbroomError('MISSING_PARAMETER', "The map has no 'productionType', as L3.", {
      locator: 'productionType',
    });
  }
  const inputs = new Map<string, string>();
  for (const [name, value] of Object.entries(parameters)) {
    for (const [id, text] of translate(name, textOf(name, value))) {
      if (inputs.has(id)) throw invalid(name, `'${id}' is given twice, by different names`);
      inputs.set(id, text);
    }
  }
  return { process, inputs: Object.fromEntries(inputs) };
}

function translate(name: string, value: string): readonly Pair[] {
  if (value === '') return [];
  if (Object.hasOwn(FUNCTIONS, name)) return FUNCTIONS[name]!(name, value);
  if (Object.hasOwn(NAMES, name)) return [[NAMES[name]!, value]];
  return [[isOfHadoop(name) ? HADOOP + name : name, value]];
}

function wholeNumber(name: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw invalid(name, `'${value.slice(0, 100)}' is not a whole number`);
}

/** `[2002-04-05:2002-04-09]`, several with commas in between; `null` is no day (specification B.8.1). */
function rangesOf(name: string, value: string): readonly Pair[] {
  const ranges = value.split(',').map((range) => {
    const [, from, to] = /^\s*\[\s*([^\s:]+)\s*:\s*([^\s:]+)\s*\]\s*$/.exec(range) ?? [];
    if (from !== undefined && to !== undefined) return { from, to };
    throw invalid(name, `'${range.slice(0, 100)}' is not a range like [2002-04-05:2002-04-09]`);
  });
  const [first] = ranges;
  if (ranges.length > 1) {
    if (ranges.every(({ from, to }) => from === to)) {
      return [['dateList', ranges.map(({ from }) => from).join(' ')]];
    }
    throw invalid(name, 'several ranges are not supported, but for single days');
  }
  const days: readonly Pair[] = [
    ['minDate', first!.from],
    ['maxDate', first!.to],
  ];
  return days.filter(([, day]) => day !== 'null');
}

function textOf(name: string, value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value.trim();
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return listOf(name, value);
  if (typeof value !== 'object') throw invalid(name, 'its value is neither text, list nor map');
  try {
    return xmlOf(value).xml;
  } catch (error) {
    throw invalid(name, messageOf(error), error);
  }
}

function listOf(name: string, values: readonly unknown[]): string {
  if (values.some((each) => typeof each === 'object')) {
    throw invalid(name, 'a list may hold texts, numbers and truth values alone');
  }
  return values.map((each) => textOf(name, each)).join(',');
}

/** A map with one map in it is that element; any other is what `<parameters>` has in it. */
function xmlOf(value: object): Xml {
  const entries = Object.entries(value);
  const [first] = entries;
  const isRoot = entries.length === 1 && typeof first![1] === 'object' && !Array.isArray(first![1]);
  const [name, content] = isRoot ? first! : ['parameters', value];
  return element(checkedName(name), {}, contentOf(content, 1));
}

const MAX_DEPTH = 32;
const XML_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,99}$/;

function checkedName(name: string): string {
  if (XML_NAME.test(name)) return name;
  throw new Error(`'${name.slice(0, 100)}' cannot be the name of an XML element`);
}

function contentOf(value: unknown, depth: number): Xml[] | string {
  if (depth > MAX_DEPTH) throw new Error(`maps are nested deeper than ${MAX_DEPTH}`);
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Object.entries(value).flatMap(([name, inner]) =>
    [inner].flat().map((each) => element(checkedName(name), {}, contentOf(each, depth + 1))),
  );
}
