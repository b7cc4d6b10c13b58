import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Of Debian's `libzookeeper-java`; its manifest names the other archives that it needs. */
const ARCHIVE = '/usr/share/java/zookeeper.jar';

/** For `skipIf`: said aloud where tests are skipped; in CI, where the machine is ours, it is an error. */
export function lacksZooKeeper(): boolean {
  if (existsSync(ARCHIVE) && spawnSync('java', ['-version']).status === 0) return false;
  if (process.env['CI'] === 'true') throw new Error('CI has to have ZooKeeper');
  process.stderr.write('SKIPPED: tests that need ZooKeeper, which is not to be had here\n');
  return true;
}

export interface ZooKeeper {
  readonly port: number;
  /** What it holds stays in its directory. */
  stop(): Promise<void>;
}

/**
 * Starts a real ZooKeeper on 127.0.0.1.
 *
 * @param port that it had before, to start it again
 */
export async function startZooKeeper(directory: string, port?: number): Promise<ZooKeeper> {
  const clientPort = port ?? (await freePort());
  const data = join(directory, 'data');
  const file = join(directory, 'zoo.cfg');
  await mkdir(data, { recursive: true });
  const settings = {
    clientPort,
    clientPortAddress: '127.0.0.1',
    dataDir: data,
    'admin.enableServer': false,
    '4lw.commands.whitelist': 'srvr',
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(file, lines.join(''));
  const main = 'org.apache.zookeeper.server.ZooKeeperServerMain';
  const small = ['-Xmx64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const child = spawn('java', [...small, '-cp', ARCHIVE, main, file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
  const exited = once(child, 'exit');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  while (!(await isServing(clientPort))) {
    if (child.exitCode !== null) throw new Error(`ZooKeeper does not start: ${words}`);
    await pause(50);
  }
  return {
    port: clientPort,
    async stop() {
      kill();
      await exited;
      process.off('exit', kill);
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function isServing(port: number): Promise<boolean> {
  const socket = createConnection({ host: '127.0.0.1', port });
  socket.setTimeout(1000, () => socket.destroy());
  try {
    socket.write('srvr');
    let words = '';
    for await (const chunk of socket) words += String(chunk);
    return words.includes('Mode: standalone');
  } catch {
    return false;
  }
}
