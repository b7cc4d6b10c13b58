/**
 * The polygons of a GeoJSON geometry, feature or collection as WKT (RFC 7946: longitude first).
 *
 * @throws Error in words that say what is wrong
 */
export function geoJsonToWkt(json: unknown): string {
  const polygons = polygonsOf(json, 0);
  if (polygons.length === 0) throw new Error('there is no polygon');
  const texts = polygons.map((rings) => `(${rings.map(ringText).join(',')})`);
  return texts.length === 1 ? `POLYGON${texts[0]}` : `MULTIPOLYGON(${texts.join(',')})`;
}

type Rings = readonly unknown[];

const DEEPEST = 10;

function polygonsOf(json: unknown, depth: number): Rings[] {
  if (typeof json !== 'object' || json === null) throw new Error('it is no object');
  if (depth > DEEPEST) throw new Error('its collections are nested too deeply');
  const { type, coordinates, geometry, geometries, features } = json as Record<string, unknown>;
  const inside = (list: unknown): Rings[] =>
    listOf(list).flatMap((each) => polygonsOf(each, depth + 1));
  switch (type) {
    case 'Polygon':
      return [listOf(coordinates)];
    case 'MultiPolygon':
      return listOf(coordinates).map(listOf);
    case 'Feature':
      return polygonsOf(geometry, depth + 1);
    case 'FeatureCollection':
      return inside(features);
    case 'GeometryCollection':
      return inside(geometries);
    default:
      throw new Error(`its type is ${JSON.stringify(type)?.slice(0, 50)}`);
  }
}

const ringText = (ring: unknown): string => `(${listOf(ring).map(pointText).join(',')})`;

function pointText(point: unknown): string {
  const [longitude, latitude] = listOf(point);
  if (typeof longitude === 'number' && typeof latitude === 'number') {
    return `${longitude} ${latitude}`;
  }
  throw new Error('a position is not two numbers');
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[];
  throw new Error('a list is missing');
}
