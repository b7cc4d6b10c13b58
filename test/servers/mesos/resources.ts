/** Arithmetic on Mesos resources (`Resource` of mesos.proto). Allocations are kept beside them, not in them. */

/** Sorted, disjoint, inclusive. */
type Ranges = readonly (readonly [begin: number, end: number])[];
/** Scalars in thousandths, because Mesos counts in three decimals. */
type Quantity = number | Ranges;

export interface ResourceJson {
  readonly name: string;
  readonly type?: string;
  readonly scalar?: { readonly value: number };
  readonly ranges?: {
    readonly range: readonly { readonly begin: number; readonly end: number }[];
  };
  readonly allocation_info?: { readonly role?: string };
  readonly reservations?: readonly Reservation[];
  readonly disk?: unknown;
  /** The older format, for frameworks that cannot RESERVATION_REFINEMENT: `*` or who it is reserved for. */
  readonly role?: string;
  readonly reservation?: { readonly principal?: string };
}

interface Reservation {
  readonly type?: string;
  readonly role?: string;
  readonly principal?: string;
}

/** What makes resources of one name different: who they are reserved for, and which volume they are. */
interface Kind {
  readonly name: string;
  readonly reservations?: readonly Reservation[];
  readonly disk?: unknown;
}

/** By kind; the key of plain resources is their name. Never changed once made. */
export type Resources = ReadonlyMap<string, Quantity>;

export const nothing: Resources = new Map();

const kinds = new Map<string, Kind>();

function keyOf({ name, disk, ...item }: ResourceJson): string {
  const reservations = item.reservations ?? refined(item);
  if (!reservations?.length && disk === undefined) return name;
  const kind: Kind = {
    name,
    ...(reservations?.length && { reservations }),
    ...(disk !== undefined && { disk }),
  };
  const key = JSON.stringify(kind);
  if (!kinds.has(key)) kinds.set(key, kind);
  return key;
}

function refined({ role, reservation }: Partial<ResourceJson>): readonly Reservation[] | undefined {
  if (role === undefined || role === '*') return undefined;
  return [{ type: reservation ? 'DYNAMIC' : 'STATIC', role, ...reservation }];
}

const kindOf = (key: string): Kind => kinds.get(key) ?? { name: key };

export const roleOf = (key: string): string | undefined =>
  kindOf(key).reservations?.at(-1)?.role ?? undefined;

export function parseResources(list: readonly ResourceJson[]): Resources {
  let sum = nothing;
  for (const item of list) {
    const quantity: Quantity = item.ranges
      ? normalised(item.ranges.range.map(({ begin, end }) => [begin, end] as const))
      : Math.round((item.scalar?.value ?? 0) * 1000);
    if (quantity !== 0) sum = plus(sum, new Map([[keyOf(item), quantity]]));
  }
  return sum;
}

export const isNothing = (resources: Resources): boolean => resources.size === 0;

export function plus(a: Resources, b: Resources): Resources {
  if (a.size === 0) return b;
  if (b.size === 0) return a;
  const sum = new Map(a);
  for (const [key, more] of b) {
    const had = sum.get(key);
    if (typeof more === 'number') sum.set(key, ((had as number | undefined) ?? 0) + more);
    else sum.set(key, normalised([...((had as Ranges | undefined) ?? []), ...more]));
  }
  return sum;
}

/** `b` has to be contained in `a`. */
export function minus(a: Resources, b: Resources): Resources {
  if (b.size === 0) return a;
  const rest = new Map(a);
  for (const [key, less] of b) {
    const had = rest.get(key);
    const left =
      typeof less === 'number'
        ? ((had as number | undefined) ?? 0) - less
        : cut((had as Ranges | undefined) ?? [], less);
    if (left === 0 || (typeof left !== 'number' && left.length === 0)) rest.delete(key);
    else rest.set(key, left);
  }
  return rest;
}

export function contains(a: Resources, b: Resources): boolean {
  for (const [key, wanted] of b) {
    const had = a.get(key);
    if (typeof wanted === 'number') {
      if (wanted > ((had as number | undefined) ?? 0)) return false;
    } else if (
      sizeOf(cut((had as Ranges | undefined) ?? [], wanted)) !==
      sizeOf(had) - sizeOf(wanted)
    ) {
      return false;
    }
  }
  return true;
}

/** Of what is free, what may be offered to a role: the unreserved and its own. */
export function forRole(resources: Resources, role: string): Resources {
  let isAll = true;
  for (const key of resources.keys()) isAll &&= isForRole(key, role);
  if (isAll) return resources;
  return new Map([...resources].filter(([key]) => isForRole(key, role)));
}

const isForRole = (key: string, role: string): boolean => {
  const reservedFor = roleOf(key);
  return reservedFor === undefined || reservedFor === role;
};

/** The total of a scalar, however reserved, as a plain number. */
export function amount(resources: Resources, name: string): number {
  let sum = 0;
  for (const [key, quantity] of resources) {
    if (typeof quantity === 'number' && kindOf(key).name === name) sum += quantity;
  }
  return sum / 1000;
}

const ORDER = ['ports', 'cpus', 'gpus', 'mem', 'disk'];
const rank = (key: string): number => {
  const { name, reservations } = kindOf(key);
  const at = ORDER.indexOf(name);
  // As recorded: ports, then what is reserved, then the rest.
  return (at < 0 ? ORDER.length : at) + (at !== 0 && !reservations ? 10 : 0);
};

const sorted = (resources: Resources): [string, Quantity][] =>
  [...resources].toSorted(([a], [b]) => rank(a) - rank(b));

/** As in offers and tasks; without a role as in an agent's own description. */
export function toJson(resources: Resources, role?: string, extra: object = {}): ResourceJson[] {
  return sorted(resources).map(([key, quantity]) => {
    const { name, ...kind } = kindOf(key);
    const value =
      typeof quantity === 'number'
        ? { type: 'SCALAR', scalar: { value: quantity / 1000 } }
        : { type: 'RANGES', ranges: { range: quantity.map(([begin, end]) => ({ begin, end })) } };
    return {
      name,
      ...value,
      ...extra,
      ...(role !== undefined && { allocation_info: { role } }),
      ...kind,
    };
  });
}

/** As the operator API shows them: with the role that they are reserved for, `*` for nobody. */
export const toOperatorJson = (resources: Resources, role?: string): object[] =>
  sorted(resources).flatMap(([key, quantity]) =>
    toJson(new Map([[key, quantity]]), role, { role: roleOf(key) ?? '*' }),
  );

/** In the format for frameworks without RESERVATION_REFINEMENT, as recorded (07b, 23). */
export const toUnrefinedJson = (resources: Resources, role: string): object[] =>
  sorted(resources).flatMap(([key, quantity]) => {
    const { type, principal } = kindOf(key).reservations?.at(-1) ?? {};
    return toJson(new Map([[key, quantity]]), role).map((item) => ({
      ...item,
      reservations: undefined,
      role: roleOf(key) ?? '*',
      ...(type === 'DYNAMIC' && { reservation: { principal } }),
    }));
  });

/** As the old endpoints show them: `{"cpus":4,"disk":…,"ports":"[31001-31101]"}`. */
export function toOldJson(resources: Resources): object {
  const ports = resources.get('ports');
  return {
    disk: amount(resources, 'disk'),
    mem: amount(resources, 'mem'),
    gpus: amount(resources, 'gpus'),
    cpus: amount(resources, 'cpus'),
    ...(ports !== undefined && { ports: said(ports) }),
  };
}

/** As in the master's messages: `cpus(allocated: eo):3.4; mem(allocated: eo):4000`. */
export const describe = (resources: Resources, role: string): string =>
  sorted(resources)
    .map(([key, quantity]) => {
      const { name, reservations } = kindOf(key);
      const reserved = reservations ? `(reservations: ${JSON.stringify(reservations)})` : '';
      return `${name}(allocated: ${role})${reserved}:${said(quantity)}`;
    })
    .join('; ');

const said = (quantity: Quantity): string =>
  typeof quantity === 'number'
    ? String(quantity / 1000)
    : `[${quantity.map(([begin, end]) => `${begin}-${end}`).join(', ')}]`;

const sizeOf = (quantity: Quantity | undefined): number =>
  quantity === undefined || typeof quantity === 'number'
    ? 0
    : quantity.reduce((sum, [begin, end]) => sum + end - begin + 1, 0);

function normalised(ranges: Ranges): Ranges {
  const merged: [number, number][] = [];
  for (const [begin, end] of ranges.toSorted(([a], [b]) => a - b)) {
    const last = merged.at(-1);
    if (last && begin <= last[1] + 1) last[1] = Math.max(last[1], end);
    else merged.push([begin, end]);
  }
  return merged;
}

function cut(from: Ranges, holes: Ranges): Ranges {
  let left = from;
  for (const [begin, end] of holes) {
    left = left.flatMap(([a, b]): Ranges => {
      if (end < a || begin > b) return [[a, b]];
      const before: Ranges = a < begin ? [[a, begin - 1]] : [];
      return b > end ? [...before, [end + 1, b]] : before;
    });
  }
  return left;
}
