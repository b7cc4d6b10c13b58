import type { Millis } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import type { JobQuery } from '../../store/store.ts';
import { DEFAULT_LIMIT } from './schemas.ts';
import type { JobListQuery } from './schemas.ts';

/**
 * The filters of a job list (OGC 18-062r2, 11.3).
 *
 * @throws INVALID_PARAMETER
 */
export function readJobQuery(query: JobListQuery, now: Millis): JobQuery {
  const { limit = DEFAULT_LIMIT, after, status, processID, datetime } = query;
  const min = query.minDuration?.[0];
  const max = query.maxDuration?.[0];
  return {
    limit,
    ...(after !== undefined && { after }),
    ...(status && { states: status }),
    ...(processID && { processes: processID }),
    ...(datetime !== undefined && { accepted: readInterval(datetime) }),
    ...((min !== undefined || max !== undefined) && {
      duration: {
        now,
        ...(min !== undefined && { min: 1000 * min }),
        ...(max !== undefined && { max: 1000 * max }),
      },
    }),
  };
}

function readInterval(text: string): { readonly from?: Millis; readonly to?: Millis } {
  const [start = '', end = start, ...rest] = text.split('/');
  const from = readInstant(start);
  const to = readInstant(end);
  const isEmpty = from !== undefined && to !== undefined && from > to;
  const isOpen = from === undefined && to === undefined;
  if (rest.length > 0 || isEmpty || isOpen) throw invalidTime(text);
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

// RFC 3339, 5.6.
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i;

function readInstant(text: string): Millis | undefined {
  if (text === '' || text === '..') return undefined;
  const at = DATE_TIME.test(text) ? Date.parse(text.toUpperCase()) : NaN;
  if (Number.isNaN(at)) throw invalidTime(text);
  return at;
}

const invalidTime = (text: string): PushbroomError =>
  new PushbroomError(
    'INVALID_PARAMETER',
    `'${text}' is no datetime: give 2026-01-31T12:00:00Z, or two with '/' between them, '..' for an open end.`,
    { locator: 'datetime' },
  );
