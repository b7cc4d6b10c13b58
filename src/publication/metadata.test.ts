import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { aJob, l3 } from '../../test/fixtures/jobs.ts';
import { EXAMPLES, lacks } from '../../test/fixtures/requires.ts';
import type { Job, JobResult } from '../core/model.ts';
import { parseXml } from '../xml.ts';
import type { XmlElement } from '../xml.ts';
import { metadataDocument } from './metadata.ts';

const RING = 'POLYGON((24.75 60.1,24.75 60.6,25.25 60.6,25.25 60.1,24.75 60.1))';
const sha256 = '0'.repeat(64);
const result = (path: string, type: string, role: JobResult['role']): JobResult => ({
  path,
  type,
  role,
  size: 41_038,
  sha256,
});

const job = (changes: Partial<Job> = {}): Job =>
  aJob({
    title: 'Subset of GUF',
    workflow: l3(1),
    outputFormat: 'GeoTIFF',
    products: {
      dataset: 'GUF',
      productType: 'GUF',
      range: { from: '2011-12-31', to: '2012-12-31' },
      regionWkt: RING,
    },
    ...(changes as object),
  });

const documentOf = (changes?: Partial<Job>) =>
  metadataDocument({
    job: job(changes),
    results: [
      result('a b&c.tif', 'image/tiff', 'product'),
      result('a_RGB.png', 'image/png', 'quicklook'),
    ],
    publisher: { centre: 'DLR', platform: 'Urban TEP', baseUrl: () => 'https://eo.example' },
    finishedAt: Date.UTC(2017, 3, 20, 21, 2, 20, 158),
  });

const parse = (changes?: Partial<Job>) => parseXml(documentOf(changes));

/** All elements of that name, in document order. */
const all = (element: XmlElement, name: string): XmlElement[] =>
  element.children.flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...all(child, name),
  ]);
const text = (element: XmlElement, name: string) => all(element, name)[0]?.text;

test('results are found by it: products as enclosures, quicklooks as offerings', () => {
  const feed = parse();
  const base = 'https://eo.example/staging/alice/20200101000000_L2Plus_1/';
  const links = all(feed, 'link').map(({ attributes }) => attributes);
  expect(links).toEqual([
    { href: base, rel: 'alternate', type: 'text/html' },
    {
      href: `${base}a%20b%26c.tif`,
      rel: 'enclosure',
      title: 'a b&c.tif',
      type: 'image/tiff',
      length: '41038',
    },
  ]);
  expect(all(feed, 'content').map(({ attributes }) => attributes)).toEqual([
    { href: `${base}a_RGB.png`, type: 'image/png' },
  ]);
});

test('times are UTC, the last day to its end, and the job is the identifier', () => {
  const feed = parse();
  expect(text(feed, 'date')).toBe('2011-12-31T00:00:00.000Z/2012-12-31T23:59:59.000Z');
  expect(text(feed, 'published')).toBe('2017-04-20T21:02:20.158Z');
  expect(text(feed, 'identifier')).toBe('20200101000000_L2Plus_1');
});

test('latitude comes before longitude in the footprint and the box', () => {
  const feed = parse();
  const ring = '60.1 24.75 60.6 24.75 60.6 25.25 60.1 25.25 60.1 24.75';
  expect(all(feed, 'posList').map((list) => list.text)).toEqual([ring, ring]);
  expect(all(feed, 'posList')[1]!.attributes).toMatchObject({ count: '5', srsDimension: '2' });
  expect(text(feed, 'box')).toBe('60.10000 24.75000 60.60000 25.25000');
});

test.each([
  [
    'a simple polygon is its own footprint',
    'polygon((0 0, 10 0, 1e1 10, 0 0))',
    '0 0 0 10 10 10 0 0',
  ],
  [
    'a polygon with a hole is its box',
    'POLYGON((0 0,10 0,10 20,0 0),(1 1,2 1,2 2,1 1))',
    '0 0 20 0 20 10 0 10 0 0',
  ],
  [
    'several polygons are their box',
    'MULTIPOLYGON(((0 0,10 0,10 20,0 0)),((20 0,30 0,30 5,20 0)))',
    '0 0 20 0 20 30 0 30 0 0',
  ],
])('%s', (_, regionWkt, ring) => {
  const feed = parse({ products: { dataset: 'x', productType: 'x', regionWkt } });
  const lists = all(feed, 'posList');
  expect(lists.map((list) => list.text)).toEqual([ring, ring]);
  expect(lists[1]!.attributes['count']).toBe(String(ring.split(' ').length / 2));
});

test('a job without region and range has neither footprint nor dates', () => {
  const feed = parse({ products: { dataset: 'x', productType: 'x' } });
  const names = ['where', 'box', 'date', 'phenomenonTime', 'featureOfInterest'];
  expect(names.flatMap((name) => all(feed, name))).toEqual([]);
});

test('a hostile title stays text', () => {
  const title = `</title><script>"'&\u0000\ud800]]>`;
  const feed = parse({ title, outputFormat: '<b>' });
  expect(all(feed, 'script')).toEqual([]);
  expect(all(feed, 'title')[1]!.text).toBe(`</title><script>"'&\ufffd\ufffd]]>`);
  expect(text(feed, 'nativeProductFormat')).toBe('<b>');
});

test('every gml:id is there once', () => {
  const ids = [...documentOf().matchAll(/gml:id="([^"]+)"/g)].map(([, id]) => id);
  expect(ids.length).toBeGreaterThan(5);
  expect(new Set(ids).size).toBe(ids.length);
});

/** Where elements are, by names with their namespaces. */
const places = (element: XmlElement, above = ''): string[] => {
  const place = `${above}/{${element.namespace}}${element.name}`;
  return [place, ...element.children.flatMap((child) => places(child, place))];
};

test.skipIf(lacks('the shared examples'))(
  'every element of the reference is at its place, but for the empty subtitle',
  async () => {
    const file = join(EXAMPLES, 'publication/result-metadata-bc-full.xml');
    const reference = new Set(places(parseXml(await readFile(file, 'utf8'))));
    const ours = new Set(places(parse()));
    expect([...reference.difference(ours)]).toEqual([
      '/{http://www.w3.org/2005/Atom}feed/{http://www.w3.org/2005/Atom}subtitle',
    ]);
  },
);
