import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { HadoopCluster } from './cluster.ts';
import { installArchives } from './installation.ts';
import { xml } from './settings.ts';

const PORT = 14_000;

export interface HttpFs extends AsyncDisposable {
  /** In the place of a NameNode's. */
  readonly url: string;
}

/** Starts Hadoop's gateway to a cluster's HDFS: WebHDFS from one address. */
export async function startHttpFs(cluster: HadoopCluster): Promise<HttpFs> {
  const libraries = await installArchives(join(import.meta.dirname, 'httpfs/pom.xml'));
  const home = join(cluster.directory, 'httpfs');
  for (const name of ['conf', 'tmp', 'log']) await mkdir(join(home, name), { recursive: true });
  const settings = {
    'httpfs.http.hostname': cluster.host,
    'httpfs.http.port': PORT,
    'httpfs.hadoop.config.dir': cluster.configuration,
  };
  await writeFile(join(home, 'conf/httpfs-site.xml'), xml(settings));
  await writeFile(join(home, 'conf/httpfs-signature.secret'), 'no secret');
  const places = Object.entries({
    home,
    config: join(home, 'conf'),
    temp: join(home, 'tmp'),
    log: join(home, 'log'),
  });
  const path = [join(home, 'conf'), cluster.configuration, join(libraries, '*')];
  const args = [
    '-Xmx192m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-XX:-UsePerfData',
    // Its XML library is older than Java's modules.
    '--add-opens=java.base/java.lang=ALL-UNNAMED',
    ...places.map(([name, directory]) => `-Dhttpfs.${name}.dir=${directory}`),
    `-Djava.io.tmpdir=${join(home, 'tmp')}`,
    '-cp',
    path.join(delimiter),
    'org.apache.hadoop.fs.http.server.HttpFSServerWebServer',
  ];
  // It ends with whoever started it.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'java', ...args], {
    cwd: home,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-4000)));
  const exited = once(child, 'exit');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const url = `http://${cluster.host}:${PORT}`;
  while (!(await answers(`${url}/webhdfs/v1/?op=GETHOMEDIRECTORY&user.name=pushbroom`))) {
    if (child.exitCode !== null) throw new Error(`HttpFS does not start: ${words}`);
    await pause(50);
  }
  return {
    url,
    async [Symbol.asyncDispose]() {
      kill();
      await exited;
      process.off('exit', kill);
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    await response.text();
    return response.ok;
  } catch {
    return false;
  }
}
