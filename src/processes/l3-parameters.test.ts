import { expect, test } from 'vitest';
import { readL3Parameters } from './l3-parameters.ts';

const AVG = '<aggregator><type>AVG</type><varName>ndvi</varName></aggregator>';
const read = (elements: string, aggregators = AVG) =>
  readL3Parameters(`<parameters>${elements}<aggregators>${aggregators}</aggregators></parameters>`);
const rule = (type: string, more: string) => `<aggregator><type>${type}</type>${more}</aggregator>`;

test('rows become metres, and what is not said has the defaults of the reference', () => {
  expect(read('<numRows>64800</numRows>')).toEqual({
    spatialResolution: 300,
    spatialRule: 'BINNING',
    temporalRules: 'AVG',
    aggregators: ['AVG'],
    variables: 'ndvi',
    validPixelExpression: 'true',
  });
  const found = read(
    '<compositingType>MOSAICKING</compositingType><numRows>1000</numRows><maskExpr>a &amp;&amp; b</maskExpr>',
  );
  expect(found).toMatchObject({
    spatialResolution: 19_440,
    spatialRule: 'NEAREST',
    validPixelExpression: 'a && b',
  });
});

test('aggregators become rules over variables', () => {
  const percentile = (percent: number, variable: string) =>
    rule('PERCENTILE', `<percentage>${percent}</percentage><varName>${variable}</varName>`);
  const four = [10, 90].flatMap((percent) => ['a', 'b'].map((name) => percentile(percent, name)));
  expect(read('<numRows>1</numRows>', four.join(''))).toMatchObject({
    temporalRules: 'PERCENTILE(10),PERCENTILE(90)',
    aggregators: ['PERCENTILE'],
    variables: 'a,b',
  });
  expect(() => read('<numRows>1</numRows>', four.slice(1).join(''))).toThrow(
    'PERCENTILE(10) is not for the variable a',
  );
  const most = rule(
    'ON_MAX_SET',
    '<onMaxVarName>ndvi</onMaxVarName><setVarNames>B2, B3</setVarNames>',
  );
  expect(read('<numRows>1</numRows>', most)).toMatchObject({
    temporalRules: 'ON_MAX_SET(ndvi)',
    variables: 'B2,B3',
  });
});

test.each([
  ['<postProcessor/><numRows>1</numRows>', AVG, 'it has postProcessor, which is not supported'],
  ['<numRows>0</numRows>', AVG, "numRows is '0'"],
  ['', AVG, "numRows is ''"],
  ['<numRows>1</numRows><planetaryGrid>x.SEAGrid</planetaryGrid>', AVG, 'only PlateCarreeGrid'],
  ['<numRows>1</numRows><superSampling>3</superSampling>', AVG, 'only 1 is supported'],
  ['<numRows>1</numRows><compositingType>X</compositingType>', AVG, 'instead of MOSAICKING'],
  [
    '<numRows>1</numRows><variables><variable><name>ndvi</name><expr>a/b</expr></variable></variables>',
    AVG,
    "the variable 'ndvi' has an expression: let the processor make the variable",
  ],
  ['<numRows>1</numRows>', '', 'it has no aggregators'],
  ['<numRows>1</numRows>', rule('AVG', ''), "an aggregator's varName is ''"],
  ['<numRows>1</numRows>', rule('A(B)', ''), "an aggregator's type is 'A(B)'"],
  [
    '<numRows>1</numRows>',
    rule('AVG', '<varName>a</varName><weightCoeff>1</weightCoeff>'),
    'the aggregator AVG has weightCoeff',
  ],
  [
    '<numRows>1</numRows>',
    rule('PERCENTILE', '<varName>a</varName><percentage>x</percentage>'),
    "percentage is 'x'",
  ],
])('%s with %s is refused', (elements, aggregators, message) => {
  expect(() => read(elements, aggregators)).toThrow(message);
});
