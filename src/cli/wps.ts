import type { JobState } from '../core/model.ts';
import { PushbroomError, messageOf } from '../errors.ts';
import { child, children, childText, parseXml } from '../xml.ts';
import type { XmlElement } from '../xml.ts';
import { reach } from './client.ts';
import type { CliDeps } from './deps.ts';

/** A job as somebody sees it who submitted it, whichever way. */
export interface JobSight {
  readonly job: string;
  readonly state: JobState;
  readonly percent: number;
  readonly message?: string;
  readonly results: readonly { readonly href: string; readonly type: string }[];
}

/** What an ExecuteResponse says (OGC 05-007r7, 10.3). */
export interface ExecuteResponse extends JobSight {
  readonly statusLocation?: string;
}

/** POSTs an Execute document to the public listener, as a portal does. */
export async function execute(
  deps: Pick<CliDeps, 'fetch' | 'env'>,
  publicUrl: string,
  document: string,
): Promise<ExecuteResponse> {
  const response = await reach(deps, `${publicUrl}/wps`, {
    method: 'POST',
    headers: { 'content-type': 'application/xml' },
    body: document,
  });
  return readExecuteResponse(await response.text(), publicUrl);
}

/** Looks at a job's status by its `statusLocation`. */
export async function pollStatus(
  deps: Pick<CliDeps, 'fetch' | 'env'>,
  accepted: ExecuteResponse,
): Promise<ExecuteResponse> {
  const response = await reach(deps, accepted.statusLocation!);
  const status = readExecuteResponse(await response.text(), accepted.statusLocation!);
  return { ...status, job: accepted.job };
}

/**
 * Reads an ExecuteResponse.
 *
 * @throws what an ExceptionReport says, or that the document is neither
 */
function readExecuteResponse(document: string, from: string): ExecuteResponse {
  let root: XmlElement;
  try {
    root = parseXml(document);
  } catch (error) {
    throw new PushbroomError('UNAVAILABLE', `${from} did not answer in WPS: ${messageOf(error)}`);
  }
  if (root.name === 'ExceptionReport') {
    throw new PushbroomError('INVALID_PARAMETER', `${from} refused: ${exceptionText(root)}`);
  }
  const status = child(root, 'Status')?.children[0];
  if (root.name !== 'ExecuteResponse' || !status) {
    throw new PushbroomError('UNAVAILABLE', `${from} answered with <${root.name}>, not WPS status`);
  }
  const { statusLocation } = root.attributes;
  return {
    job: statusLocation === undefined ? '' : jobIdOf(statusLocation),
    ...readStatus(status),
    results: readResults(root),
    ...(statusLocation !== undefined && { statusLocation }),
  };
}

function readStatus(status: XmlElement): Omit<JobSight, 'job' | 'results'> {
  const percent = Number(status.attributes['percentCompleted'] ?? 0);
  switch (status.name) {
    case 'ProcessAccepted':
      return { state: 'accepted', percent: 0 };
    case 'ProcessSucceeded':
      return { state: 'successful', percent: 100 };
    case 'ProcessFailed':
      return { state: 'failed', percent, message: exceptionText(child(status, 'ExceptionReport')) };
    default:
      return { state: 'running', percent };
  }
}

function readResults(root: XmlElement): JobSight['results'] {
  const outputs = child(root, 'ProcessOutputs');
  return (outputs ? children(outputs, 'Output') : []).flatMap((output) => {
    const { href, mimeType = '' } = child(output, 'Reference')?.attributes ?? {};
    return href === undefined ? [] : [{ href, type: mimeType }];
  });
}

function exceptionText(report: XmlElement | undefined): string {
  const exceptions = report ? children(report, 'Exception') : [];
  const texts = exceptions.map((exception) => {
    const { exceptionCode = '', locator } = exception.attributes;
    const text = childText(exception, 'ExceptionText') ?? exceptionCode;
    return locator === undefined || text.includes(locator) ? text : `${text} (${locator})`;
  });
  return texts.join('; ') || 'no reason given';
}

function jobIdOf(statusLocation: string): string {
  if (!URL.canParse(statusLocation)) return '';
  for (const [name, value] of new URL(statusLocation).searchParams) {
    if (name.toLowerCase() === 'jobid') return value;
  }
  return '';
}
