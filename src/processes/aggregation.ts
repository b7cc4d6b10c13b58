import { type XmlElement, childText, parseXml } from '../xml.ts';
import type { ProcessorDescriptor } from './descriptor.ts';

/** The job parameter by which a processor offers aggregation; its value holds the defaults. */
const OFFER = 'calvalus.wps.spatioTemporalAggregation';

/** How results are put together over a period (specification B.6.4). */
export interface Aggregation {
  /** Metres. */
  readonly spatialResolution: number;
  readonly spatialRule: 'NEAREST' | 'BINNING';
  /** As given: `AVG`, `PERCENTILE(90)`, several with commas in between. */
  readonly temporalRules: string;
  /** The aggregators that `temporalRules` names, each once, without what is in parentheses. */
  readonly aggregators: readonly string[];
  readonly variables?: string;
  readonly validPixelExpression: string;
}

const ELEMENTS = [
  'aggregate',
  'spatialResolution',
  'spatialRule',
  'temporalRules',
  'variables',
  'validPixelExpression',
] as const;
type Element = (typeof ELEMENTS)[number];

const DEFAULTS = {
  aggregate: 'false',
  spatialResolution: '60',
  spatialRule: 'NEAREST',
  temporalRules: 'AVG',
  validPixelExpression: 'true',
} satisfies Partial<{ [E in Element]: string }>;

/** Half of the Earth's circumference from pole to pole, in metres: the coarsest grid has one row. */
const MAX_RESOLUTION = 19_440_000;

/** The defaults of a processor that offers aggregation, as XML; `undefined` for one that does not. */
export const offeredAggregation = (processor: ProcessorDescriptor): string | undefined =>
  processor.jobParameters[OFFER];

/**
 * Decides whether a request aggregates, and how: the request's value over the bundle's over the schema's defaults.
 *
 * @param requested `spatioTemporalAggregationParameters`: nothing, `true`, `false`, a resolution in metres, or XML
 * @returns `undefined` where nothing is aggregated
 * @throws Error
 */
export function readAggregation(
  processor: ProcessorDescriptor,
  requested: string | undefined,
): Aggregation | undefined {
  const offer = offeredAggregation(processor);
  if (offer === undefined) return undefined;
  const values: { [E in Element]?: string } = {
    ...DEFAULTS,
    ...readXml(offer),
    ...readRequest(requested),
  };
  if (values.aggregate !== 'true' && values.aggregate !== 'false') {
    throw new Error(`aggregate is '${values.aggregate}' instead of true or false`);
  }
  const { spatialRule = '', temporalRules = '', validPixelExpression = '', variables } = values;
  if (spatialRule !== 'NEAREST' && spatialRule !== 'BINNING') {
    throw new Error(`unknown spatialRule ${spatialRule}. NEAREST or BINNING expected.`);
  }
  const aggregation = {
    spatialResolution: readResolution(values.spatialResolution),
    spatialRule,
    temporalRules,
    aggregators: readRules(temporalRules),
    ...(variables !== undefined && { variables }),
    validPixelExpression,
  } as const;
  return values.aggregate === 'true' ? aggregation : undefined;
}

function readRequest(text = ''): { [E in Element]?: string } {
  const requested = text.trim();
  if (requested === '') return {};
  if (requested === 'true' || requested === 'false') return { aggregate: requested };
  if (/^\d+$/.test(requested)) return { aggregate: 'true', spatialResolution: requested };
  if (requested.startsWith('<')) return readXml(requested);
  throw new Error(
    `'${requested.slice(0, 80)}' is neither true, false, a resolution in metres nor XML`,
  );
}

function readXml(text: string): { [E in Element]?: string } {
  if (text.trim() === '') return {};
  const root: XmlElement = parseXml(text.trim());
  const unknown = root.children.find(({ name }) => !ELEMENTS.includes(name as Element));
  if (unknown) throw new Error(`it has ${unknown.name}, known are ${ELEMENTS.join(', ')}`);
  const given = ELEMENTS.map(
    (name) => [name, childText(root, name)?.replaceAll(/\s+/g, ' ')] as const,
  );
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function readResolution(text = ''): number {
  const resolution = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (resolution < 1 || resolution > MAX_RESOLUTION) {
    throw new Error(`spatialResolution is '${text}', not whole metres from 1 to ${MAX_RESOLUTION}`);
  }
  return resolution;
}

function readRules(text: string): readonly string[] {
  const rules = text
    .split(/,(?![^(]*\))/)
    .map((rule) => /^\s*([A-Za-z0-9._+-]+)\s*(\(.*\))?\s*$/.exec(rule)?.[1]);
  const names = rules.map((name) => {
    if (name === undefined) throw new Error(`temporalRules '${text.slice(0, 80)}' can not be read`);
    return name;
  });
  return [...new Set(names)];
}
