import type { Format, Process, ProcessInput, ProcessOutput } from '../../jobs/jobs.ts';
import { BOX_CRS } from '../inputs.ts';
import { isJson, valueOf } from './values.ts';
import type { ProcessDescription, ProcessSummary } from './schemas.ts';
import { link, REL } from './write.ts';

export const processSummary = (api: string, process: Process): ProcessSummary => ({
  id: process.id,
  title: process.title,
  description: process.description,
  version: process.version,
  jobControlOptions: ['sync-execute', 'async-execute', 'dismiss'],
  outputTransmission: ['value', 'reference'],
  links: [link(processUrl(api, process.id), 'self', 'The description of this process')],
});

const processUrl = (api: string, id: string): string =>
  `${api}/processes/${encodeURIComponent(id)}`;

/** OGC 18-062r2, 9.2: an input that may be given several times is one array, so it occurs once. */
export function processDescription(api: string, process: Process): ProcessDescription {
  const url = processUrl(api, process.id);
  return {
    ...processSummary(api, process),
    links: [
      link(url, 'self', 'This description'),
      link(`${url}?f=html`, 'alternate', 'This description as a page', 'text/html'),
      link(`${url}/execution`, `${REL}/execute`, 'Where the process is executed'),
    ],
    inputs: Object.fromEntries(
      process.inputs.map((input) => [
        input.id,
        {
          title: input.title,
          description: input.description,
          minOccurs: input.required ? 1 : 0,
          maxOccurs: 1,
          schema: inputSchema(input),
        },
      ]),
    ),
    outputs: Object.fromEntries(
      process.outputs.map((output) => [
        output.id,
        { title: output.title, description: output.description, schema: outputSchema(output) },
      ]),
    ),
  };
}

type Schema = Readonly<Record<string, unknown>>;

// Conformance suites know a bounding box by the format in the first element.
const BBOX: Schema = {
  allOf: [
    { format: 'ogc-bbox' },
    {
      type: 'object',
      required: ['bbox'],
      properties: {
        bbox: { type: 'array', minItems: 4, maxItems: 4, items: { type: 'number' } },
        crs: {
          type: 'string',
          format: 'uri',
          default: BOX_CRS[0],
          description: `One of ${BOX_CRS.join(', ')}`,
        },
      },
    },
  ],
};

const GEOJSON: Schema = {
  allOf: [{ format: 'geojson-geometry' }, { type: 'object', required: ['type'] }],
};

const PLAIN: Readonly<Record<Exclude<ProcessInput['type'], 'complex'>, Schema>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  integer: { type: 'integer' },
  number: { type: 'number' },
  date: { type: 'string', format: 'date' },
  wkt: { oneOf: [{ type: 'string' }, GEOJSON, BBOX] },
  bbox: BBOX,
};

/** A JSON Schema of OpenAPI 3.0, with the two words for binary data that the standard adds. */
function inputSchema(input: ProcessInput): Schema {
  const { type, allowed = [], range, defaultValue, maxOccurs = 1, required } = input;
  const one = {
    ...valueSchema(input),
    ...(allowed.length > 0 && { enum: [...new Set(allowed)].map((text) => valueOf(type, text)) }),
    ...(range && { minimum: range.min, maximum: range.max }),
    ...(defaultValue !== undefined && { default: valueOf(type, defaultValue) }),
  };
  if (maxOccurs === 1) return one;
  return { type: 'array', items: one, minItems: required ? 1 : 0, maxItems: maxOccurs };
}

/** Of files there may be one, which then stands for itself, or a list. */
function outputSchema(output: ProcessOutput): Schema {
  const one = valueSchema(output);
  if (!output.isList) return one;
  const list = { type: 'array', items: one };
  return output.type === 'complex' ? { oneOf: [one, list] } : list;
}

function valueSchema({ type, formats = [] }: ProcessInput | ProcessOutput): Schema {
  if (type !== 'complex') return PLAIN[type];
  const [first, ...others] = formats.map(formatSchema);
  if (!first) return { type: 'string' };
  return others.length === 0 ? first : { oneOf: [first, ...others] };
}

function formatSchema({ mediaType, encoding }: Format): Schema {
  if (isJson(mediaType)) return { type: 'object' };
  // The standard's word for base64 in a description (7.11.2.5).
  const binary = encoding === 'base64' && { contentEncoding: 'binary' };
  return { type: 'string', ...binary, contentMediaType: mediaType };
}
