import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { SCENARIO, loadScenario } from '../../src/simulator/scenario.ts';
import { run } from '../operator/command-line.ts';

const ROOT = join(import.meta.dirname, '../..');
const EXAMPLE = join(ROOT, 'demo/scenario.yaml');

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'simulate-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function simulate(yaml: string, ...flags: readonly string[]) {
  const file = join(directory, 'scenario.yaml');
  await writeFile(file, yaml);
  return run(['simulate', file, ...flags]);
}

const SMALL = `nodes: [{ cpus: 2, memoryMb: 8192 }]
jobs: [{ tasks: 10, duration: { median: 10, sigma: 0 } }]`;

describe('pushbroom simulate', () => {
  test('prints what came of a scenario', async () => {
    const { code, stdout, stderr } = await simulate(SMALL);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Makespan +50 s$/m);
    expect(stdout).toMatch(/^Lower bound +50 s \(1\.000 x\)$/m);
    expect(stdout).toMatch(/^Utilisation +100 % of the processor time; 0 % wasted$/m);
    expect(stdout).toMatch(/^Jobs +successful 1$/m);
    expect(stdout).toMatch(/^default +1 +100 +100$/m);
    expect(stdout).toMatch(/^default +task ready \.\.\. first attempt +20 s +20 s +40 s +40 s$/m);
  });

  test('prints JSON', async () => {
    const { stdout } = await simulate(SMALL, '--json', '--until', '25');
    expect(JSON.parse(stdout)).toMatchObject({ end: 'until', seed: 1, tasks: { finished: 4 } });
  });

  test('takes another seed', async () => {
    const { stdout } = await simulate(SMALL, '--json', '--seed', '7');
    expect(JSON.parse(stdout)).toMatchObject({ end: 'done', seed: 7 });
  });

  test('says what is wrong with a scenario, and with a flag', async () => {
    const bad = await simulate('nodes: 3');
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(
      /^pushbroom: .*scenario.yaml: line 1, column 1: nodes: must be array/,
    );
    expect((await simulate(SMALL, '--until', 'noon')).stderr).toContain('whole number');
  });

  test('plays the example to its end', async () => {
    const { code, stdout } = await run(['simulate', EXAMPLE]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^End +all jobs have ended$/m);
  });
});

describe('docs/simulator.md', () => {
  const page = readFileSync(join(ROOT, 'docs/simulator.md'), 'utf8');

  test('has an example that loads', async () => {
    const [, example = ''] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    const file = join(directory, 'example.yaml');
    await writeFile(file, example);
    expect((await loadScenario(file)).jobs).toHaveLength(2);
  });

  test('describes every key', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    const described = rows.flatMap((row) => {
      const [first = '', ...others] = Array.from(
        row.split('|')[1]!.matchAll(/`([^`]+)`/g),
        ([, key]) => key!,
      );
      const parent = first.slice(0, first.lastIndexOf('.'));
      return [first, ...others.map((key) => parent + key)];
    });
    expect(described.toSorted()).toEqual(keysOf(SCENARIO, '').toSorted());
  });
});

/** Of all values in a schema; `scheduling` is described elsewhere, and a duration once. */
function keysOf(schema: object, path: string): string[] {
  const { properties, items } = schema as { properties?: object; items?: object };
  const isWhole = path === 'scheduling' || /\.(aggregate|format)\.duration$/.test(path);
  if (items && 'properties' in items && !isWhole) return keysOf(items, `${path}[]`);
  if (!properties || isWhole) return [path];
  return Object.entries(properties).flatMap(([key, child]: [string, object]) =>
    keysOf(child, path === '' ? key : `${path}.${key}`),
  );
}
