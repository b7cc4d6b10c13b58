import { afterEach, beforeEach, expect, test } from 'vitest';

import { createTestNode, run } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';

let node: TestNode;
beforeEach(async () => {
  node = await createTestNode();
});
afterEach(() => node[Symbol.asyncDispose]());

const usageOf = async (script: string) => (await run(await node.assign(script))).result.usage!;
const javascript = (code: string) => `exec ${process.execPath} -e '${code}'`;
const MB = 1024 ** 2;

test('CPU time is what the processes of the attempt have used, those in the background too', async () => {
  const busy = 'const t=process.cpuUsage;while(t().user+t().system<400000);';
  const script = `${process.execPath} -e '${busy}' & ${process.execPath} -e '${busy}'; wait`;
  const usage = await usageOf(script);
  const cpu = usage.cpuUserMs! + usage.cpuSystemMs!;
  // Two times 400 ms and the starting of Node.
  expect(cpu).toBeGreaterThanOrEqual(800);
  expect(cpu).toBeLessThan(3_000);
  expect(usage.wallMs).toBeGreaterThan(400);
  expect(usage.sources).toMatchObject({ cpu: 'rusage', wall: 'monotonic-clock' });
});

test('an attempt that sleeps uses next to none', async () => {
  const usage = await usageOf('sleep 0.5');
  expect(usage.cpuUserMs! + usage.cpuSystemMs!).toBeLessThan(100);
  expect(usage.wallMs).toBeGreaterThanOrEqual(500);
});

test('peak memory is of all processes together, also of those that a thread has started', async () => {
  const child = 'const b=Buffer.alloc(100*1024**2,1);setTimeout(()=>b[0],1500)';
  const worker = `new (require("worker_threads").Worker)(
    \`require("child_process").spawn(process.execPath,["-e",${JSON.stringify(child)}])\`,{eval:true});
    const b=Buffer.alloc(100*1024**2,1);setTimeout(()=>b[0],1500)`;
  const usage = await usageOf(javascript(worker));
  expect(usage.peakMemoryBytes).toBeGreaterThan(200 * MB);
  expect(usage.peakMemoryBytes).toBeLessThan(900 * MB);
  expect(usage.sources).toMatchObject({ memory: 'proc-status-poll' });
});

test('bytes read and written are exact, also of programs too short to be seen', async () => {
  const usage = await usageOf(`head -c 50000000 /dev/zero > a; cat a > /dev/null`);
  expect(usage.sources).toMatchObject({ io: 'proc-io' });
  expect(usage.readBytes).toBeGreaterThanOrEqual(100_000_000);
  expect(usage.readBytes).toBeLessThan(101_000_000);
  expect(usage.writtenBytes).toBeGreaterThanOrEqual(100_000_000);
  expect(usage.writtenBytes).toBeLessThan(100_100_000);
});

test('what could not be measured is absent, not zero', async () => {
  // Ended before anyone could look, more often than not.
  const usage = await usageOf('#!/bin/true');
  expect(usage.peakMemoryBytes).not.toBe(0);
  expect('memory' in usage.sources).toBe('peakMemoryBytes' in usage);
});
