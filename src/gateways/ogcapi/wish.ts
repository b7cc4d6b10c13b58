import type { OutputWish, ResponseWish } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import type { Process } from '../../jobs/jobs.ts';
import type { ExecuteBody } from './schemas.ts';

/**
 * How an Execute wants its results (OGC 18-062r2, 7.11.2.2 and 7.11.4).
 *
 * @throws INVALID_PARAMETER (locator: the output)
 */
export function readWish(
  process: Process,
  { outputs = {}, response }: Pick<ExecuteBody, 'outputs' | 'response'>,
): ResponseWish {
  const wishes = Object.entries(outputs).map(([id, { transmissionMode, format }]): OutputWish => {
    checkOutput(process, id, format?.mediaType);
    return {
      id,
      ...(transmissionMode && { transmission: transmissionMode }),
      ...(format?.mediaType !== undefined && { mediaType: format.mediaType }),
    };
  });
  return {
    form: response ?? defaultForm(process, wishes),
    // An empty object asks for nothing in particular, as a missing one does.
    ...(wishes.length > 0 && { outputs: wishes }),
  };
}

function checkOutput(process: Process, id: string, mediaType: string | undefined): void {
  const output = process.outputs.find((each) => each.id === id);
  if (!output) {
    const known = process.outputs.map((each) => each.id).join(', ');
    throw invalid(id, `There is no output '${id.slice(0, 100)}': ${process.id} has ${known}.`);
  }
  const formats = output.formats?.map((format) => format.mediaType) ?? [];
  if (mediaType === undefined || output.type !== 'complex' || formats.includes(mediaType)) return;
  const known = formats.join(', ');
  throw invalid(id, `The output '${id}' comes as ${known}, and not as '${mediaType}'.`);
}

const invalid = (id: string, message: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', message, { locator: id.slice(0, 100) });

/**
 * Raw, as the standard has it, but for files that nobody asked to have by reference: of those a raw answer would be
 * nothing but headers.
 */
function defaultForm(process: Process, wishes: readonly OutputWish[]): ResponseWish['form'] {
  const asked = wishes.length > 0 && wishes.every(({ transmission }) => transmission !== undefined);
  return asked || defaultTransmission(process) === 'value' ? 'raw' : 'document';
}

/** The files of a process that makes many are too large for an answer; so are they where nothing is known any more. */
export const defaultTransmission = (process: Process | undefined): 'value' | 'reference' =>
  process?.outputs.every(({ type, isList }) => type !== 'complex' || !isList)
    ? 'value'
    : 'reference';
