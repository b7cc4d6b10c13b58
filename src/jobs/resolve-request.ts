import type { Job } from '../core/model.ts';
import { productionType } from '../processes/production.ts';
import type { Circumstances } from './assemble.ts';
import type { ExecuteRequest } from './jobs.ts';
import { resolveProduction } from './resolve-production.ts';
import { resolve } from './resolve.ts';
import type { JobsOptions } from './service.ts';

/**
 * Turns a request into a job; its identifier tells which dialect it speaks (specification B.1).
 *
 * @throws what `resolve` and `resolveProduction` throw, NO_SUCH_PROCESS
 */
export function resolveRequest(
  request: ExecuteRequest,
  { scheduler, registry, datasets, defaults, archive }: JobsOptions,
  identity: Pick<Circumstances, 'id' | 'acceptedAt'>,
): Job {
  const circumstances = { ...identity, request, datasets, defaults, policy: scheduler.policy() };
  const type = productionType(request.process);
  if (type) return resolveProduction({ ...circumstances, type, registry, archive });
  return resolve({ ...circumstances, entry: registry.offered(request.process) });
}
