import type { Jobs } from '../jobs/jobs.ts';
import { outcomeOf, whoOf } from './audit.ts';
import type { AuditEvent, AuditTrail } from './audit.ts';
import type { Identity } from './guard.ts';

type About = Pick<AuditEvent, 'jobId' | 'target'>;

/** Does something for somebody and writes down what became of it. */
export async function recorded<T>(
  audit: AuditTrail,
  identity: Identity,
  what: string,
  act: () => Promise<T>,
  about: (result?: T) => About,
): Promise<T> {
  const event = { what, ...whoOf(identity) };
  try {
    const result = await act();
    audit.record({ ...event, ...about(result), outcome: 'done' });
    return result;
  } catch (error) {
    audit.record({ ...event, ...about(), outcome: outcomeOf(error) });
    throw error;
  }
}

/** What callers name may be of any length. */
const MOST_CHARACTERS = 300;

/** The same jobs; what is done to them by somebody is written down. */
export const createAudited = (jobs: Jobs, identity: Identity, audit: AuditTrail): Jobs => ({
  ...jobs,
  submit: (request) =>
    recorded(
      audit,
      identity,
      'execute',
      () => jobs.submit(request),
      (accepted) => ({
        target: request.process.slice(0, MOST_CHARACTERS),
        ...(accepted && { jobId: accepted.job.id }),
      }),
    ),
  dismiss: (id) =>
    recorded(
      audit,
      identity,
      'dismiss',
      () => jobs.dismiss(id),
      () => ({ jobId: id.slice(0, MOST_CHARACTERS) }),
    ),
});
