import type { Caller, Jobs } from '../jobs/jobs.ts';
import type { AuditTrail } from './audit.ts';
import type { Guard } from './guard.ts';
import type { Shares } from './share.ts';

/** What the listeners ask to know who may do what, and where they leave word of what was done. */
export interface Gate {
  readonly guard: Guard;
  readonly jobsFor: (caller: Caller) => Jobs;
  readonly audit: AuditTrail;
  readonly shares: Shares;
}
