/**
 * A replayed Mesos cluster as a program of its own, for benchmarks and for trying things by hand. Prints one line of
 * JSON with the master's URL, and ends on SIGTERM, SIGINT or when its standard input closes.
 *
 *   node test/servers/mesos/main.ts --agents 300 --cpus 14.4 --pretend-ms 0
 */
import { parseArgs } from 'node:util';

import { startMesos } from './cluster.ts';

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '2' },
    cpus: { type: 'string', default: '4' },
    'memory-mb': { type: 'string' },
    'disk-mb': { type: 'string' },
    /** Without it the tasks are real processes. */
    'pretend-ms': { type: 'string' },
    'allocation-ms': { type: 'string', default: '20' },
    'heartbeat-seconds': { type: 'string', default: '15' },
    /** Mesos's own. */
    'ack-retry-ms': { type: 'string', default: '10000' },
    standby: { type: 'boolean', default: false },
  },
});

const count = Number(values.agents);
const pretendMs = values['pretend-ms'];
const memory = values['memory-mb'];
const disk = values['disk-mb'];

await using cluster = await startMesos({
  agents: Array.from({ length: count }, (_, index) => ({
    // All of 127.0.0.0/8 is this machine, so that each agent can have a name of its own.
    ...(count <= 250 * 250 && { host: `127.77.${Math.floor(index / 250)}.${(index % 250) + 1}` }),
    cpus: Number(values.cpus),
    ...(memory !== undefined && { memoryMb: Number(memory) }),
    ...(disk !== undefined && { diskMb: Number(disk) }),
  })),
  run: pretendMs === undefined ? 'processes' : 'pretend',
  ...(pretendMs !== undefined && { pretendMs: Number(pretendMs) }),
  allocationIntervalMs: Number(values['allocation-ms']),
  heartbeatSeconds: Number(values['heartbeat-seconds']),
  ackRetryMs: Number(values['ack-retry-ms']),
  standby: values.standby,
  record: false,
});

process.stdout.write(
  `${JSON.stringify({ url: cluster.url, ...(values.standby && { standbyUrl: cluster.standbyUrl }) })}\n`,
);

await new Promise<void>((resolve) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  process.stdin.once('end', () => resolve()).resume();
});
// Open, it would keep the program.
process.stdin.destroy();
