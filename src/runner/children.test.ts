import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { startPortably } from './portable.ts';
import type { ProcessUsage } from './process.ts';

const BUSY = 'const t=process.cpuUsage;while(t().user+t().system<300000);';

async function usageOf(script: string): Promise<ProcessUsage> {
  const command = { argv: ['/bin/sh', '-c', script], directory: '/', environment: {} };
  const { ended } = await startPortably(command, () => undefined);
  return (await ended).usage;
}

const cpuOf = ({ cpuUserMs, cpuSystemMs }: ProcessUsage) => cpuUserMs! + cpuSystemMs!;

test('CPU time is that of a program and of all that it has waited for', async () => {
  const usage = await usageOf(`${process.execPath} -e '${BUSY}' & wait`);
  // It is counted in ticks.
  expect(cpuOf(usage)).toBeGreaterThanOrEqual(280);
  expect(cpuOf(usage)).toBeLessThan(3_000);
  expect(usage.cpuSource).toBe('proc-stat-children');
});

test('what this program does meanwhile is not counted', async () => {
  const usage = usageOf('head -c 5000000 /dev/zero; sleep 0.2');
  const { user } = process.cpuUsage();
  while (process.cpuUsage().user - user < 200_000) readFileSync(process.execPath).indexOf('');
  const { readBytes, writtenBytes, ...others } = await usage;
  expect(cpuOf(others)).toBeLessThan(100);
  expect(readBytes).toBeGreaterThanOrEqual(5_000_000);
  expect(readBytes).toBeLessThan(5_100_000);
  expect(writtenBytes).toBeGreaterThanOrEqual(5_000_000);
  expect(writtenBytes).toBeLessThan(5_001_000);
});

test('it is not known of programs that run side by side, and known again of the next', async () => {
  const both = await Promise.all([usageOf('sleep 0.1'), usageOf('sleep 0.2')]);
  expect(both).toEqual([{}, {}]);
  expect(await usageOf('exit 0')).toMatchObject({ cpuSource: 'proc-stat-children' });
});

test('a program that cannot be started leaves no trace', async () => {
  const command = { argv: ['/no/such/program'], directory: '/', environment: {} };
  await expect(startPortably(command, () => undefined)).rejects.toThrow('ENOENT');
  expect(await usageOf('exit 0')).toMatchObject({ cpuSource: 'proc-stat-children' });
});
