import type { EngineId, Locality, Location, NodeId } from '../core/model.ts';
import type { Chance } from './chance.ts';
import type { SimulatedNode } from './engine.ts';
import type { Scenario } from './scenario.ts';

/** Where the products of the simulated archive lie. A product is known by its number. */
export interface Archive {
  /** `undefined` where nothing is known. */
  locationOf(product: number): Location | undefined;
  /** How near to a product's data a node is. */
  localityOf(product: number, node: SimulatedNode): Locality | undefined;
}

/** One of the places that have all products. */
interface Root {
  /** Nodes that hold some of them. */
  readonly homes: readonly SimulatedNode[];
  /** Nodes that hold each. */
  readonly count: number;
  /** Known even where no node holds a product: then the pool shares a storage. */
  readonly pool?: string;
  readonly engines?: readonly EngineId[];
}

/** @param nodes those that are there from the beginning: data are not moved when others join */
export function createArchive(
  { placement, ...data }: Scenario['data'],
  nodes: readonly SimulatedNode[],
  chance: Chance,
): Archive {
  const roots = rootsOf(data, nodes);

  function homesOf({ homes, count }: Root, root: number, product: number): SimulatedNode[] {
    const chosen = new Set<SimulatedNode>();
    const which = root === 0 ? '' : ` root ${root}`;
    for (let draw = 0; chosen.size < count; draw += 1) {
      const place =
        placement === 'round-robin'
          ? product + draw
          : Math.floor(chance.uniform(`product ${product} replica ${draw}${which}`) * homes.length);
      chosen.add(homes[place % homes.length]!);
    }
    return [...chosen];
  }

  function locationOf(product: number): Location | undefined {
    const homes = roots.flatMap((root, index) => homesOf(root, index, product));
    const pools = present([...homes, ...roots].map(({ pool }) => pool));
    if (homes.length === 0 && pools.length === 0) return undefined;
    const racks = present(homes.map(({ rack }) => rack));
    const engines = roots.flatMap((root) => root.engines ?? []);
    return {
      ...(homes.length > 0 && { nodes: homes.map(({ name }): NodeId => name) }),
      ...(racks.length > 0 && { racks }),
      ...(pools.length > 0 && { pools }),
      ...(roots.every((root) => root.engines) && { engines: present(engines) }),
    };
  }

  return {
    locationOf,
    localityOf: (product, node) => {
      const location = locationOf(product);
      return location && localityOf(location, node);
    },
  };
}

function rootsOf(
  { replicas, pool, roots }: Omit<Scenario['data'], 'placement'>,
  nodes: readonly SimulatedNode[],
): Root[] {
  const homesIn = (name: string | undefined) =>
    nodes.filter((node) => name === undefined || node.pool === name);
  if (roots.length === 0) {
    const homes = homesIn(pool);
    return [{ homes, count: Math.min(replicas, homes.length) }];
  }
  return roots.map((root) => {
    const homes = homesIn(root.pool);
    const { engines } = root;
    const count = Math.min(root.replicas, homes.length);
    return { homes, count, pool: root.pool, ...(engines && { engines }) };
  });
}

const present = (names: readonly (string | undefined)[]): string[] => [
  ...new Set(names.filter((name) => name !== undefined)),
];

function localityOf({ nodes, racks, pools }: Location, node: SimulatedNode): Locality {
  if (nodes?.includes(node.name)) return 'node';
  if (node.rack !== undefined && racks?.includes(node.rack)) return 'rack';
  return node.pool !== undefined && pools?.includes(node.pool) ? 'pool' : 'any';
}
