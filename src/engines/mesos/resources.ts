/**
 * Mesos counts scalars in thousandths: what is more precise it rounds (`Value.Scalar` in mesos.proto), so here they are
 * counted in whole thousandths too.
 */
import type { Resources } from '../../core/model.ts';
import type { MesosResource } from './protocol.ts';

/** What a task can have of offers; a task may have several parts of one name. */
interface Division {
  readonly taken: readonly MesosResource[];
  readonly rest: readonly MesosResource[];
}

/** What attempts can use of it. */
export function capacityOf(resources: readonly MesosResource[]): Resources {
  const gpus = Math.floor(sumOf(resources, 'gpus') / 1000);
  return {
    cpus: sumOf(resources, 'cpus') / 1000,
    memoryMb: sumOf(resources, 'mem') / 1000,
    ...(gpus > 0 && { gpus }),
  };
}

/**
 * Whether a resource can be offered to a framework with such roles: unreserved, or reserved for a role or an ancestor of
 * it (`isAllocatableTo` in include/mesos/v1/resources.hpp).
 */
export function isForRole(resource: MesosResource, roles: readonly string[]): boolean {
  const owner = ownerOf(resource);
  return (
    owner === undefined || roles.some((role) => role === owner || role.startsWith(`${owner}/`))
  );
}

/**
 * Takes what an attempt wants from the resources of offers, first what is reserved, because nobody else could use it.
 * Parts keep their reservation and allocation: the master must be told them as it told them.
 *
 * @param pool of offers of one agent and one role: Mesos lets nothing else be used together
 * @param wanted rounded up to thousandths, and to whole GPUs
 * @returns undefined where there is not so much
 */
export function take(pool: readonly MesosResource[], wanted: Resources): Division | undefined {
  const { cpus, memoryMb, gpus = 0 } = wanted;
  let division: Division | undefined = { taken: [], rest: pool };
  division = takeOne(division, 'cpus', roundUp(cpus));
  division &&= takeOne(division, 'mem', roundUp(memoryMb));
  division &&= takeOne(division, 'gpus', Math.ceil(gpus) * 1000);
  return division;
}

function takeOne({ taken, rest }: Division, name: string, wanted: number): Division | undefined {
  let missing = wanted;
  const parts = new Map<number, number>();
  const fitting = rest.keys().filter((index) => isUsable(rest[index]!, name));
  const reservedFirst = [...fitting].toSorted((a, b) => rank(rest[a]!) - rank(rest[b]!));
  for (const index of reservedFirst) {
    if (missing <= 0) break;
    const part = Math.min(missing, thousandths(rest[index]!));
    if (part === 0) continue;
    parts.set(index, part);
    missing -= part;
  }
  if (missing > 0) return undefined;
  return {
    taken: [...taken, ...parts.entries().map(([index, part]) => withAmount(rest[index]!, part))],
    rest: rest.flatMap((resource, index) => {
      const part = parts.get(index);
      if (part === undefined) return [resource];
      const left = thousandths(resource) - part;
      return left === 0 ? [] : [withAmount(resource, left)];
    }),
  };
}

const rank = (resource: MesosResource): number => (ownerOf(resource) === undefined ? 1 : 0);

/** The last reservation is the one that holds. */
function ownerOf({ reservations = [], role = '*' }: MesosResource): string | undefined {
  const owner = reservations.at(-1)?.role ?? role;
  return owner === '*' ? undefined : owner;
}

/** What can be taken away at any time, is a volume or comes from a provider is not for a sandbox. */
const isUsable = (resource: MesosResource, name: string): boolean =>
  resource.name === name &&
  resource.type === 'SCALAR' &&
  resource.revocable === undefined &&
  resource.disk === undefined &&
  resource.provider_id === undefined &&
  resource.shared === undefined;

const sumOf = (resources: readonly MesosResource[], name: string): number =>
  resources.reduce(
    (sum, resource) => (isUsable(resource, name) ? sum + thousandths(resource) : sum),
    0,
  );

const thousandths = ({ scalar }: MesosResource): number => Math.round(1000 * (scalar?.value ?? 0));

const withAmount = (resource: MesosResource, amount: number): MesosResource => ({
  ...resource,
  scalar: { value: amount / 1000 },
});

/** Tenths of a CPU that were added up may be a little more than they are: what is below a millionth is nothing. */
const roundUp = (amount: number): number => Math.ceil(Math.round(amount * 1e6) / 1000);

/** What each of several attempts takes from the resources of an agent; undefined where they do not hold that much. */
export function divide(
  pool: readonly MesosResource[],
  wanted: readonly Resources[],
): readonly (readonly MesosResource[])[] | undefined {
  const shares: (readonly MesosResource[])[] = [];
  let left = pool;
  for (const each of wanted) {
    const share = take(left, each);
    if (!share) return undefined;
    left = share.rest;
    shares.push(share.taken);
  }
  return shares;
}
