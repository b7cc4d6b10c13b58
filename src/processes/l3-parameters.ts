import { child, children, childText, parseXml } from '../xml.ts';
import type { XmlElement } from '../xml.ts';
import type { Aggregation } from './aggregation.ts';

/** Elements of `calvalus.l3.parameters` that are understood. */
const ELEMENTS = [
  'compositingType',
  'planetaryGrid',
  'numRows',
  'superSampling',
  'maskExpr',
  'variables',
  'aggregators',
] as const;

const SPATIAL_RULES = { MOSAICKING: 'NEAREST', BINNING: 'BINNING' } as const;
/** From pole to pole in metres, at 108 km for a degree, as the reference counts (specification B.6.4). */
const METRES = 19_440_000;

/**
 * Reads `calvalus.l3.parameters` (specification C.4) as what aggregators are told: rows as metres, the compositing type as
 * spatial rule, the aggregators as temporal rules over variables, as B.6.4 derives the one from the other.
 *
 * @throws Error for what aggregators can not be told
 */
export function readL3Parameters(text: string): Aggregation {
  const root = parseXml(text);
  const unknown = root.children.find(({ name }) => !ELEMENTS.some((known) => known === name));
  if (unknown) {
    throw new Error(`it has ${unknown.name}, which is not supported; ${ELEMENTS.join(', ')} are`);
  }
  checkGrid(root);
  const type = childText(root, 'compositingType') ?? 'BINNING';
  if (type !== 'MOSAICKING' && type !== 'BINNING') {
    throw new Error(`compositingType is '${type.slice(0, 80)}' instead of MOSAICKING or BINNING`);
  }
  return {
    spatialResolution: METRES / readRows(childText(root, 'numRows')),
    spatialRule: SPATIAL_RULES[type],
    ...readAggregators(root),
    validPixelExpression: childText(root, 'maskExpr')?.replaceAll(/\s+/g, ' ') ?? 'true',
  };
}

function checkGrid(root: XmlElement): void {
  const grid = childText(root, 'planetaryGrid');
  if (grid !== undefined && !/(?:^|\.)PlateCarreeGrid$/.test(grid)) {
    throw new Error(`planetaryGrid is '${grid.slice(0, 80)}'; only PlateCarreeGrid is supported`);
  }
  const sampling = childText(root, 'superSampling') ?? '1';
  if (sampling !== '1') {
    throw new Error(`superSampling is '${sampling.slice(0, 80)}'; only 1 is supported`);
  }
  const computed = elementsOf(root, 'variables', 'variable').find(
    (variable) => child(variable, 'expr') !== undefined,
  );
  if (computed) {
    const its = childText(computed, 'name') ?? '';
    throw new Error(
      `the variable '${its.slice(0, 80)}' has an expression: let the processor make the variable`,
    );
  }
}

const elementsOf = (root: XmlElement, list: string, name: string): readonly XmlElement[] =>
  child(root, list) ? children(child(root, list)!, name) : [];

function readRows(text = ''): number {
  const rows = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (rows >= 1 && rows <= METRES) return rows;
  throw new Error(`numRows is '${text.slice(0, 80)}' and not a whole number from 1 to ${METRES}`);
}

/** One `<aggregator>`: its rule as `temporalRules` has it, and the variable it is for, unless the rule names its own. */
interface Rule {
  readonly type: string;
  readonly rule: string;
  readonly variables: readonly string[];
}

function readAggregators(
  root: XmlElement,
): Pick<Aggregation, 'temporalRules' | 'aggregators' | 'variables'> {
  const rules = elementsOf(root, 'aggregators', 'aggregator').map(readRule);
  if (rules.length === 0) throw new Error('it has no aggregators');
  const names = [...new Set(rules.map(({ rule }) => rule))];
  const variables = [...new Set(rules.flatMap((each) => each.variables))];
  for (const name of names) {
    const its = new Set(rules.filter(({ rule }) => rule === name).flatMap((r) => r.variables));
    const lacking = variables.find((variable) => !its.has(variable));
    if (lacking !== undefined) {
      throw new Error(`${name} is not for the variable ${lacking}, as others are: all are for all`);
    }
  }
  return {
    temporalRules: names.join(','),
    aggregators: [...new Set(rules.map(({ type }) => type))],
    ...(variables.length > 0 && { variables: variables.join(',') }),
  };
}

const NAME = /^[A-Za-z0-9._+-]{1,100}$/;

function readRule(aggregator: XmlElement): Rule {
  const type = nameIn(aggregator, 'type');
  const known: readonly string[] =
    type === 'PERCENTILE'
      ? ['type', 'varName', 'percentage']
      : type === 'ON_MAX_SET'
        ? ['type', 'onMaxVarName', 'setVarNames']
        : ['type', 'varName'];
  const other = aggregator.children.find((each) => !known.includes(each.name));
  if (other) throw new Error(`the aggregator ${type} has ${other.name}, which is not supported`);
  if (type === 'ON_MAX_SET') {
    const set = (childText(aggregator, 'setVarNames') ?? '').split(',').map((each) => each.trim());
    const wrong = set.find((each) => !NAME.test(each));
    if (wrong !== undefined) throw new Error(`setVarNames has '${wrong.slice(0, 80)}'`);
    return { type, rule: `${type}(${nameIn(aggregator, 'onMaxVarName')})`, variables: set };
  }
  const percentage = type === 'PERCENTILE' ? `(${childText(aggregator, 'percentage') ?? 90})` : '';
  if (!/^(?:\(\d{1,3}(?:\.\d{1,6})?\))?$/.test(percentage)) {
    throw new Error(`percentage is '${percentage.slice(1, -1).slice(0, 80)}'`);
  }
  return { type, rule: type + percentage, variables: [nameIn(aggregator, 'varName')] };
}

function nameIn(parent: XmlElement, element: string): string {
  const text = childText(parent, element) ?? '';
  if (NAME.test(text)) return text;
  throw new Error(
    `an aggregator's ${element} is '${text.slice(0, 80)}' and not letters, digits and . _ + -`,
  );
}
