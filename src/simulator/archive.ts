import type { Locality, Location, NodeId } from '../core/model.ts';
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

/** @param nodes those that are there from the beginning: data are not moved when others join */
export function createArchive(
  { replicas, placement, pool }: Scenario['data'],
  nodes: readonly SimulatedNode[],
  chance: Chance,
): Archive {
  const homes = nodes.filter((node) => pool === undefined || node.pool === pool);
  const count = Math.min(replicas, homes.length);

  function homesOf(product: number): SimulatedNode[] {
    const chosen = new Set<SimulatedNode>();
    for (let draw = 0; chosen.size < count; draw += 1) {
      const place =
        placement === 'round-robin'
          ? product + draw
          : Math.floor(chance.uniform(`product ${product} replica ${draw}`) * homes.length);
      chosen.add(homes[place % homes.length]!);
    }
    return [...chosen];
  }

  return {
    locationOf: (product) => (count === 0 ? undefined : locate(homesOf(product))),
    localityOf: (product, node) =>
      count === 0 ? undefined : localityOf(locate(homesOf(product)), node),
  };
}

function locate(homes: readonly SimulatedNode[]): Location {
  const racks = [...new Set(homes.map(({ rack }) => rack).filter((rack) => rack !== undefined))];
  const [pool, ...others] = new Set(homes.map((home) => home.pool));
  return {
    nodes: homes.map(({ name }): NodeId => name),
    ...(racks.length > 0 && { racks }),
    ...(pool !== undefined && others.length === 0 && { pool }),
  };
}

function localityOf({ nodes, racks, pool }: Location, node: SimulatedNode): Locality {
  if (nodes?.includes(node.name)) return 'node';
  if (node.rack !== undefined && racks?.includes(node.rack)) return 'rack';
  return pool !== undefined && pool === node.pool ? 'pool' : 'any';
}
