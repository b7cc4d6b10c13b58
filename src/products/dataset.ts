import type { Day, Location } from '../core/model.ts';

/** A named collection of products, as the configuration declares it (specification B.8.3). */
export interface Dataset {
  readonly name: string;
  /** Matched against the `inputProductTypes` of a processor. */
  readonly productType: string;
  /** Absolute path patterns: regular expressions over the whole path, with `${yyyy}`, `${MM}`, ... (B.8.2). */
  readonly patterns: readonly string[];
  /** First and last day for which there are products. */
  readonly minDate?: Day;
  readonly maxDate?: Day;
  /** Stands for `${region}` and `${site}` where a request names none. */
  readonly regionName?: string;
  /** Footprint of the whole dataset in EPSG:4326, longitude first. */
  readonly regionWkt?: string;
  readonly bands?: readonly string[];
  readonly location?: DatasetLocation;
}

/** Where all products of a dataset lie, or how the path of each of them tells it. */
export interface DatasetLocation extends Location {
  /**
   * Absolute path pattern of how the products' paths begin. What its groups `node`, `rack` and `pool` match goes before
   * what is said for all.
   */
  readonly pattern?: string;
}
