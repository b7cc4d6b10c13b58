import type { Day } from '../core/model.ts';

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
}
