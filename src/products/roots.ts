import type { EngineId } from '../core/model.ts';
import { isUrl } from '../storage/location.ts';
import type { Dataset, DatasetRoot } from './dataset.ts';

/** What the nodes of an engine can read. URLs can be read by all. */
export interface EngineSight {
  readonly id: EngineId;
  /** The only directories that its nodes see as the service does, as those of YARN; where absent, they see all of them. */
  readonly directories?: readonly string[];
}

/** A path or URL that others can be put behind. */
export const withoutSlash = (location: string): string => location.replace(/\/+$/, '');

export const isBelow = (location: string, directory: string): boolean =>
  `${location}/`.startsWith(`${withoutSlash(directory)}/`);

const canRead = ({ id, directories }: EngineSight, { location, engines }: DatasetRoot): boolean => {
  if (engines) return engines.includes(id);
  if (isUrl(location) || directories === undefined) return true;
  return directories.some((directory) => isBelow(location, directory));
};

/** @returns those that can read what lies under one of the roots; `undefined` where all of them can */
export function enginesOf(
  engines: readonly EngineSight[],
  roots: readonly DatasetRoot[],
): EngineId[] | undefined {
  const able = engines.filter((engine) => roots.some((root) => canRead(engine, root)));
  return able.length === engines.length ? undefined : able.map(({ id }) => id);
}

/**
 * Where an engine's nodes read a product: under the root that names the engine; where none does, those of a cluster
 * that sees few directories read from its file system, and all others from directories.
 *
 * @param path of the product, as it was found: under the first root
 */
export function pathFor({ roots = [] }: Dataset, engine: EngineSight, path: string): string {
  const first = withoutSlash(roots[0]?.location ?? path);
  if (!path.startsWith(`${first}/`)) return path;
  const able = roots.filter((root) => canRead(engine, root));
  const isNear = (location: string) => isUrl(location) === (engine.directories !== undefined);
  const root =
    able.find(({ engines }) => engines) ?? able.find(({ location }) => isNear(location)) ?? able[0];
  return root ? withoutSlash(root.location) + path.slice(first.length) : path;
}
