import type { Process, ProcessInput } from '../../jobs/jobs.ts';
import { invalid } from '../inputs.ts';
import { isTooDeep } from './values.ts';
import type { Inputs, InputValue } from '../inputs.ts';

/**
 * The inputs of an Execute request (OGC 18-062r2, 7.11.2). An empty array gives nothing.
 *
 * @throws INVALID_PARAMETER (locator: the input)
 */
export function readInputs(inputs: Readonly<Record<string, unknown>>, process: Process): Inputs {
  const types = new Map(process.inputs.map(({ id, type }) => [id, type]));
  return new Map(
    Object.entries(inputs).flatMap(([id, given]) => {
      const values = (Array.isArray(given) ? given : [given]).map((each: unknown) =>
        readValue(id, each, types.get(id)),
      );
      return values.length > 0 ? [[id, values]] : [];
    }),
  );
}

function readValue(id: string, value: unknown, type: ProcessInput['type'] | undefined): InputValue {
  if (isPlain(value)) return { kind: 'literal', text: String(value) };
  if (!isObject(value)) throw invalid(id, 'it must be a string, number, boolean or object');
  if ('bbox' in value) return readBox(id, value);
  if ('href' in value) return readLink(id, value);
  if ('value' in value) return readQualified(id, value, type);
  return object(id, value, type);
}

/** Plain data are no objects, though their texts could be. */
function object(
  id: string,
  value: unknown,
  type: ProcessInput['type'] | undefined,
  mediaType = 'application/json',
): InputValue {
  if (isTooDeep(value)) throw invalid(id, 'it is nested too deeply');
  if (type === undefined || type === 'complex' || type === 'wkt') {
    return { kind: 'complex', content: Buffer.from(JSON.stringify(value)), mediaType };
  }
  throw invalid(
    id,
    `it must be ${type === 'bbox' ? 'a bounding box' : `a ${type}`}, and not an object`,
  );
}

/** `{ "value": ..., "mediaType": ..., "encoding": ... }`; the members of 1.0's drafts are in a `format` of their own. */
function readQualified(
  id: string,
  qualified: Record<string, unknown>,
  type: ProcessInput['type'] | undefined,
): InputValue {
  const { value } = qualified;
  const { mediaType, encoding } = formatOf(qualified);
  if (isObject(value) && 'bbox' in value) return readBox(id, value);
  if (typeof value === 'string' && (mediaType !== undefined || encoding !== undefined)) {
    const isBase64 = encoding === 'base64' || encoding === 'binary';
    const content = Buffer.from(value, isBase64 ? 'base64' : 'utf8');
    return { kind: 'complex', content, ...(mediaType !== undefined && { mediaType }) };
  }
  if (isPlain(value)) return { kind: 'literal', text: String(value) };
  if (isObject(value) || Array.isArray(value)) return object(id, value, type, mediaType);
  throw invalid(id, 'its value must be a string, number, boolean or object');
}

function readLink(id: string, link: Record<string, unknown>): InputValue {
  const { href, type } = link;
  if (typeof href !== 'string') throw invalid(id, 'its href must be a string');
  const { mediaType = type, encoding } = formatOf(link);
  return {
    kind: 'reference',
    href,
    ...(typeof mediaType === 'string' && { mediaType }),
    ...(encoding === 'base64' && { encoding }),
  };
}

function formatOf(qualified: Record<string, unknown>): {
  readonly mediaType?: string;
  readonly encoding?: string;
} {
  const format = isObject(qualified['format']) ? qualified['format'] : qualified;
  const { mediaType, encoding } = format;
  return {
    ...(typeof mediaType === 'string' && { mediaType }),
    ...(typeof encoding === 'string' && { encoding }),
  };
}

function readBox(id: string, { bbox, crs }: Record<string, unknown>): InputValue {
  if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every(Number.isFinite)) {
    throw invalid(id, 'its bbox must be four numbers');
  }
  if (crs !== undefined && typeof crs !== 'string') throw invalid(id, 'its crs must be a string');
  return {
    kind: 'bbox',
    corners: bbox as [number, number, number, number],
    ...(crs !== undefined && { crs }),
  };
}

const isPlain = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
