import { PushbroomError } from '../../errors.ts';

/**
 * The inputs of an Execute request (OGC 18-062r2, 7.11.2) as the texts that jobs take.
 *
 * @throws INVALID_PARAMETER (locator: the input)
 */
export const readInputs = (inputs: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(Object.entries(inputs).map(([id, value]) => [id, readValue(id, value)]));

function readValue(id: string, value: unknown): string {
  // Where one value is allowed, a list of one is as good (7.11.2.3).
  const single = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (isPlain(single)) return String(single);
  if (isObject(single)) {
    if ('bbox' in single) return readBox(id, single);
    if ('value' in single) return readQualified(id, single['value']);
    if ('href' in single) {
      throw invalid(id, 'inputs by reference are not supported, send the value itself');
    }
  }
  throw invalid(id, 'it must be one string, number, boolean or bbox');
}

/** `{ "value": ... }` may hold a box, but no further wrapping. */
function readQualified(id: string, value: unknown): string {
  if (isPlain(value)) return String(value);
  if (isObject(value) && 'bbox' in value) return readBox(id, value);
  throw invalid(id, 'its value must be one string, number, boolean or bbox');
}

const LONGITUDE_FIRST = 'http://www.opengis.net/def/crs/OGC/1.3/CRS84';
const LATITUDE_FIRST = 'http://www.opengis.net/def/crs/EPSG/0/4326';

/** `lon0,lat0,lon1,lat1` in degrees. */
function readBox(id: string, { bbox, crs = LONGITUDE_FIRST }: Record<string, unknown>): string {
  if (crs !== LONGITUDE_FIRST && crs !== LATITUDE_FIRST) {
    throw invalid(id, `its crs must be ${LONGITUDE_FIRST} or ${LATITUDE_FIRST}`);
  }
  if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every(Number.isFinite)) {
    throw invalid(id, 'its bbox must be four numbers');
  }
  const [x0, y0, x1, y1] = bbox as [number, number, number, number];
  const [lon0, lat0, lon1, lat1] = crs === LONGITUDE_FIRST ? [x0, y0, x1, y1] : [y0, x0, y1, x1];
  if (
    Math.max(Math.abs(lon0), Math.abs(lon1)) > 180 ||
    Math.max(Math.abs(lat0), Math.abs(lat1)) > 90
  ) {
    throw invalid(id, 'its bbox is not in degrees of longitude and latitude');
  }
  return [lon0, lat0, lon1, lat1].join(',');
}

const isPlain = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const invalid = (id: string, reason: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', `input '${id}': ${reason}`, { locator: id });
