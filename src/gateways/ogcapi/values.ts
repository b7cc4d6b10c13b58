import type { JobResult } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import type { ProcessInput, ProcessOutput } from '../../jobs/jobs.ts';
import { essenceOf } from '../../publication/media-type.ts';

/** A text as the JSON value of its type. */
export function valueOf(type: ProcessInput['type'], text: string): unknown {
  switch (type) {
    case 'boolean':
      return text === 'true';
    case 'integer':
    case 'number':
      return Number(text);
    case 'bbox':
      return boxOf(text);
    default:
      return text;
  }
}

/** `x0,y0,x1,y1[,crs]` as OGC 18-062r2 writes it (bbox.yaml). */
function boxOf(text: string) {
  const [x0, y0, x1, y1, ...crs] = text.split(',');
  return {
    bbox: [x0, y0, x1, y1].map(Number),
    ...(crs.length > 0 && { crs: crs.join(',') }),
  };
}

/** Levels of JSON: what is nested deeper cannot be written again. */
const DEEPEST = 500;

export const isTooDeep = (value: unknown, levels = DEEPEST): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((each) => isTooDeep(each, levels - 1)));

export const isJson = (mediaType: string): boolean =>
  /^application\/(?:[\w.-]+\+)?json$/.test(essenceOf(mediaType));

const isText = (mediaType: string): boolean =>
  /^(?:text\/.*|application\/(?:[\w.-]+\+)?xml)$/.test(essenceOf(mediaType));

/**
 * A result as it stands in a JSON document: a plain value, a bounding box, or complex data with what they are
 * (OGC 18-062r2, qualifiedInputValue.yaml).
 */
export function jsonOf(
  output: ProcessOutput | undefined,
  { path, type }: JobResult,
  content: Buffer,
): unknown {
  if (output && output.type !== 'complex') return valueOf(output.type, content.toString());
  if (isJson(type)) return { value: parse(path, content), mediaType: type };
  if (isText(type)) return { value: content.toString(), mediaType: type };
  return { value: content.toString('base64'), encoding: 'base64', mediaType: type };
}

function parse(path: string, content: Buffer): unknown {
  const unfit = (reason: string, cause?: unknown) =>
    new PushbroomError('INVALID_PARAMETER', `The result '${path}' ${reason}: ask for it raw.`, {
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(content.toString());
  } catch (error) {
    throw unfit('is not the JSON that it is called', error);
  }
  if (isTooDeep(value)) throw unfit('is nested too deeply for a document');
  return value;
}
