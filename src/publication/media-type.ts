import { extname } from 'node:path';

/** Names of metadata documents end so (specification F.1). */
export const METADATA_SUFFIX = '-metadata';

/** Checksums of a job's results, to be checked with `sha256sum -c`. */
export const CHECKSUMS = 'SHA256SUMS';

const TYPES: Readonly<Record<string, string>> = {
  '.tif': 'image/tiff',
  '.tiff': 'image/tiff',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.nc': 'application/netcdf',
  '.zip': 'application/zip',
  '.gz': 'application/gzip',
  '.log': 'text/plain',
  '.xml': 'application/xml',
  '.json': 'application/json',
  '.geojson': 'application/geo+json',
  '.csv': 'text/csv',
  '.txt': 'text/plain',
};

/** By the name of a result file (specification F.3). */
export const mediaType = (file: string): string =>
  file.endsWith(METADATA_SUFFIX)
    ? 'application/atom+xml'
    : (TYPES[extname(file).toLowerCase()] ?? 'application/octet-stream');

/** A media type without its parameters, in lower case. */
export const essenceOf = (type: string): string => type.replace(/;.*$/s, '').trim().toLowerCase();
