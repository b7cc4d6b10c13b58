import type { Format, Process, ProcessInput, ProcessOutput } from '../jobs/jobs.ts';

/** A process that the service runs itself. It gives back what it was given. */
export interface Builtin extends Process {
  /** The output in which an input comes back. */
  outputOf(input: string): string;
}

const XML: Format = { mediaType: 'text/xml' };
const JSON_TEXT: Format = { mediaType: 'application/json' };
const PLAIN: Format = { mediaType: 'text/plain' };

const input = (
  id: string,
  type: ProcessInput['type'],
  description: string,
  more: Partial<ProcessInput> = {},
): ProcessInput => ({ id, title: id, description, type, required: false, ...more });

function echo(
  id: string,
  description: string,
  inputs: readonly ProcessInput[],
  outputOf: (input: string) => string = (name) => name,
): Builtin {
  return {
    id,
    title: id,
    description,
    version: '1.0.0',
    inputs,
    outputs: inputs.map((from): ProcessOutput => {
      const { type } = from;
      return {
        id: outputOf(from.id),
        title: outputOf(from.id),
        description: `What was given as ${from.id}`,
        type: type === 'date' || type === 'wkt' ? 'string' : type,
        ...(from.formats && { formats: from.formats }),
        ...((from.maxOccurs ?? 1) > 1 && { isList: true }),
      };
    }),
    outputOf,
  };
}

/** Seconds. */
const LONGEST_PAUSE = 60;
export const PAUSE = 'pause';

/** For first contact and for tests: an input of every kind (the names are those that OGC's test suite of the API asks for). */
const ECHO = echo('echo', 'Gives back what it is given: to try a client with every kind of input', [
  input('stringInput', 'string', 'A text'),
  input(PAUSE, 'integer', 'Seconds until the job ends', {
    range: { min: 0, max: LONGEST_PAUSE },
  }),
  input('numberInput', 'number', 'A number from 0 to 100', { range: { min: 0, max: 100 } }),
  input('booleanInput', 'boolean', 'True or false'),
  input('dateInput', 'date', 'A day as yyyy-MM-dd'),
  input('colourInput', 'string', 'One of three words', {
    allowed: ['red', 'green', 'blue'],
    defaultValue: 'green',
  }),
  input('arrayInput', 'string', 'Up to ten texts', { maxOccurs: 10 }),
  input('bboxInput', 'bbox', 'A bounding box in WGS 84'),
  input('regionInput', 'wkt', 'A region as WKT, GeoJSON or bounding box'),
  input('mixedInput', 'complex', 'XML, JSON or text', { formats: [XML, JSON_TEXT, PLAIN] }),
  input('binaryInput', 'complex', 'An image', {
    formats: [{ mediaType: 'image/tiff', encoding: 'base64' }],
  }),
]);

/** The process that OGC's test suites of WPS 1.0 and 2.0 ask for; the second one insists on this name. */
const TEST_SUITE_ECHO = echo(
  'org.n52.javaps.test.EchoProcess',
  'Gives back what it is given: for conformance tests',
  [
    input('literalInput', 'string', 'A text'),
    input('complexInput', 'complex', 'XML or text', { formats: [XML, PLAIN] }),
    input('boundingboxInput', 'bbox', 'A bounding box in WGS 84'),
  ],
  (name) => name.replace(/Input$/, 'Output'),
);

export const BUILTINS: readonly Builtin[] = [ECHO, TEST_SUITE_ECHO];

export const findBuiltin = (id: string): Builtin | undefined =>
  BUILTINS.find((builtin) => builtin.id === id);
