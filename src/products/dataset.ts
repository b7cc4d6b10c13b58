import type { Day, EngineId, Location } from '../core/model.ts';

/** A named collection of products, as the configuration declares it (specification B.8.3). */
export interface Dataset {
  readonly name: string;
  /** Matched against the `inputProductTypes` of a processor. */
  readonly productType: string;
  /**
   * Path patterns: regular expressions over the whole path, with `${yyyy}`, `${MM}`, ... (B.8.2). Absolute, or URLs of
   * configured storages; with `roots` relative to each of them.
   */
  readonly patterns: readonly string[];
  /** Places that all hold the products, if there are several; the first is that by which a product is known. */
  readonly roots?: readonly DatasetRoot[];
  /** First and last day for which there are products. */
  readonly minDate?: Day;
  readonly maxDate?: Day;
  /** Stands for `${region}` and `${site}` where a request names none. */
  readonly regionName?: string;
  /** Footprint of the whole dataset in EPSG:4326, longitude first. */
  readonly regionWkt?: string;
  readonly bands?: readonly string[];
  readonly location?: DatasetLocation;
  /** For whom it is there; for everybody where it is absent. */
  readonly visibleTo?: { readonly users: readonly string[]; readonly groups: readonly string[] };
}

export interface DatasetRoot {
  /** An absolute path, or a URL of a configured storage. */
  readonly location: string;
  /** The pool of nodes that are near to it. */
  readonly pool?: string;
  /** Engines whose nodes read there; where absent, those that can. */
  readonly engines?: readonly EngineId[];
}

/** Where all products of a dataset lie, or how the path of each of them tells it. */
export interface DatasetLocation extends Pick<Location, 'nodes' | 'racks'> {
  readonly pool?: string;
  /**
   * Absolute path pattern of how the products' paths begin. What its groups `node`, `rack` and `pool` match goes before
   * what is said for all.
   */
  readonly pattern?: string;
}
