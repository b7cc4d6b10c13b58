import type { Caller } from '../jobs/jobs.ts';
import type { Dataset } from '../products/dataset.ts';

/** For whom something is meant; operators and administrators see everything. */
export interface Audience {
  /** As jobs name them, with a portal's prefix. */
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

/** What the owners of bundles and the operators have decided about them. */
export interface Offers {
  /** Nothing is known of what is no bundle. */
  of(name: string, version: string): Offer | undefined;
  /** Whether any bundle is there for its owner alone. */
  areLimited(): boolean;
}

interface Offer {
  /** Nobody, if it is the centre's own. */
  readonly owner?: string | undefined;
  /** Whether it is there for others than him. */
  readonly isForOthers: boolean;
}

export interface Visibility {
  /** Whether there are processes that are not there for all. */
  hidesProcesses(): boolean;
  /** Whether a process (`bundle~version~processor`) is there for somebody. */
  mayUse(caller: Caller, process: string): boolean;
  /** What of the datasets is there for somebody; the same list for all who see the same. */
  datasets(caller: Caller): readonly Dataset[];
}

/** There are about as many as combinations of groups. */
const MOST_KEPT = 1000;

const ALL_FOR_ALL: Offers = { of: () => undefined, areLimited: () => false };

/** @param bundles by `name~version`, or by `name` for all other versions; who is not named is there for all */
export function createVisibility(
  datasets: readonly Dataset[],
  bundles: Readonly<Record<string, Audience>>,
  offers: Offers = ALL_FOR_ALL,
): Visibility {
  const audiences = new Map(Object.entries(bundles));
  const isLimited = datasets.some(({ visibleTo }) => visibleTo);
  // What is described over a list is kept with it.
  const kept = new Map<string, readonly Dataset[]>();

  function visible(caller: Caller): readonly Dataset[] {
    const sees = datasets.map(({ visibleTo }) => isAmong(caller, visibleTo));
    const key = sees.map(Number).join('');
    const list = kept.get(key) ?? datasets.filter((_, index) => sees[index]);
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(key, list);
    return list;
  }

  return {
    hidesProcesses: () => audiences.size > 0 || offers.areLimited(),
    mayUse(caller, process) {
      if (caller.role !== 'user') return true;
      const [name = '', version = ''] = process.split('~');
      const offer = offers.of(name, version);
      if (offer?.owner === caller.user) return true;
      if (offer?.isForOthers === false) return false;
      return isAmong(caller, audiences.get(`${name}~${version}`) ?? audiences.get(name));
    },
    datasets: (caller) => (caller.role !== 'user' || !isLimited ? datasets : visible(caller)),
  };
}

const isAmong = ({ user, groups }: Caller, audience: Audience | undefined): boolean =>
  audience === undefined ||
  audience.users.includes(user) ||
  audience.groups.some((group) => groups.includes(group));
