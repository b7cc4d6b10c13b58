import { dominantShare, useOf } from './shares.ts';
import type { ShareGroup } from './shares.ts';
import type { JobRecord, State } from './state.ts';

/** What decides between two jobs of one group. Less goes first, at the first difference. */
export interface Rank {
  readonly priority: number;
  readonly userShare: number;
  readonly jobShare: number;
}

export const rankOf = ({ total }: State, record: JobRecord, leaf: ShareGroup): Rank => ({
  priority: -record.control.priority,
  userShare: dominantShare(useOf(leaf.users, record.job.user), total),
  jobShare: dominantShare(record.use, total),
});

interface Ranked {
  readonly record: JobRecord;
  readonly rank: Rank;
}

export const isBefore = (a: Ranked, b: Ranked): boolean =>
  (a.rank.priority - b.rank.priority ||
    a.rank.userShare - b.rank.userShare ||
    a.rank.jobShare - b.rank.jobShare ||
    a.record.job.acceptedAt - b.record.job.acceptedAt) < 0;
