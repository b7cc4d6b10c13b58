import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { fromFile } from 'geotiff';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { DemoReport } from '../../src/cli/demo.ts';
import { parseXml } from '../../src/xml.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('npm run demo', () => {
  let directory: string;
  let report: DemoReport;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pushbroom-demo-'));
    const { stdout } = await promisify(execFile)(
      'npm',
      ['run', 'demo', '--', '--json', '--data-dir', join(directory, 'data')],
      { cwd: ROOT, maxBuffer: 16 * 1024 ** 2 },
    );
    report = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as DemoReport;
  }, 180_000);
  afterAll(() => rm(directory, { recursive: true, force: true }));

  test('takes its job over all 140 real scenes to success', () => {
    // 140 scenes, 4 partitions and the final product.
    expect(report).toMatchObject({ state: 'successful', products: 140, tasks: 145, failed: 0 });
    expect(report.attempts).toBeGreaterThanOrEqual(145);
  });

  test('leaves a GeoTIFF, a quicklook and metadata whose checksums hold', () => {
    const types = report.results.map(({ type }) => type).toSorted();
    expect(types).toEqual(['application/atom+xml', 'image/png', 'image/tiff']);
    const staged = dirname(report.results[0]!.path);
    const checked = execFileSync('sha256sum', ['-c', 'SHA256SUMS'], {
      cwd: staged,
      encoding: 'utf8',
    });
    expect(checked.trim().split('\n')).toHaveLength(3);
    const metadata = report.results.find(({ type }) => type === 'application/atom+xml')!;
    expect(parseXml(readFileSync(metadata.path, 'utf8')).text).toContain(report.job);
  });

  test('computes the statistics of the reference', async () => {
    const tiff = await fromFile(report.results.find(({ type }) => type === 'image/tiff')!.path);
    const image = await tiff.getImage();
    const bands = (await image.readRasters()) as unknown as Float32Array[];
    const mean = (band: number): number => {
      const values = bands[band]!.filter((value) => !Number.isNaN(value));
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    // Means over the scene of the mean over time, as NumPy computes them from the same cube with the SCL mask.
    expect([2, 7, 12].map((band) => Number(mean(band).toFixed(3)))).toEqual([
      0.729, -0.284, -0.516,
    ]);
    expect(bands).toHaveLength(15);
    await tiff.close();
  });
});
