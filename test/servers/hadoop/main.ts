/**
 * A cluster as a program of its own, for developing and for trying things by hand. Prints one line of JSON with its
 * addresses, and ends on SIGTERM, SIGINT or, without `--keep`, when its standard input closes.
 *
 *   node test/servers/hadoop/main.ts --keep --nodes 3
 */
import { parseArgs } from 'node:util';

import { startHadoop } from './cluster.ts';

const { values } = parseArgs({
  options: {
    daemons: { type: 'boolean', default: false },
    nodes: { type: 'string', default: '3' },
    vcores: { type: 'string', default: '4' },
    'memory-mb': { type: 'string', default: '4096' },
    'heartbeat-ms': { type: 'string', default: '1000' },
    keep: { type: 'boolean', default: false },
  },
});

await using cluster = await startHadoop({
  mode: values.daemons ? 'daemons' : 'one-jvm',
  nodes: Number(values.nodes),
  capacity: { vcores: Number(values.vcores), memoryMb: Number(values['memory-mb']) },
  heartbeatMs: Number(values['heartbeat-ms']),
});

const { pids: daemons, mode, host, webhdfsUrl, resourceManagerUrl } = cluster;
const { configuration, directory, nodes } = cluster;
const addresses = { mode, host, webhdfsUrl, resourceManagerUrl, configuration, directory, nodes };
process.stdout.write(`${JSON.stringify({ pid: process.pid, daemons, ...addresses })}\n`);

// Otherwise nothing might keep the program.
const forever = setInterval(() => undefined, 2 ** 30);
await new Promise<void>((resolve) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  if (!values.keep) process.stdin.once('end', () => resolve()).resume();
});
clearInterval(forever);
process.stdin.destroy();
