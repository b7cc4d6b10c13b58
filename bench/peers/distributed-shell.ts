import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { HadoopCluster } from '../../test/servers/hadoop/cluster.ts';
import { installArchives, installHadoop } from '../../test/servers/hadoop/installation.ts';
import type { Settings } from '../../test/servers/hadoop/settings.ts';

/** What each task gets. */
export interface Share {
  readonly vcores: number;
  readonly memoryMb: number;
}

/** The application that Hadoop ships for running a command in many containers. */
export interface DistributedShell {
  /** What a cluster has to be started with: where an application's master finds its classes. */
  readonly settings: Settings;
  /**
   * Runs a command in so many containers.
   *
   * @param command without quotes and blanks, which the application would not keep
   * @returns tasks per second, from when its master has registered to when it has said good-bye
   */
  run(
    cluster: HadoopCluster,
    command: readonly string[],
    tasks: number,
    share: Share,
  ): Promise<number>;
}

export async function installDistributedShell(): Promise<DistributedShell> {
  const { launcher, libraries } = await installHadoop();
  const own = await installArchives(join(import.meta.dirname, 'distributed-shell/pom.xml'));
  const ours = join(own, 'hadoop-yarn-applications-distributedshell-3.4.2.jar');
  const classPath = ['$HADOOP_CONF_DIR', launcher, `${libraries}/*`, `${own}/*`].join(',');
  return {
    settings: { 'yarn.application.classpath': classPath },
    async run(cluster, [command, ...args], tasks, { vcores, memoryMb }) {
      const before = new Set((await applications(cluster)).map(({ id }) => id));
      const ran = cluster.run(
        'org.apache.hadoop.yarn.applications.distributedshell.Client',
        Object.entries({
          jar: ours,
          shell_command: command,
          ...(args.length > 0 && { shell_args: args.join(' ') }),
          num_containers: tasks,
          container_memory: memoryMb,
          container_vcores: vcores,
          master_memory: 384,
          master_vcores: 1,
        }).flatMap(([name, value]) => [`-${name}`, String(value)]),
        [join(own, '*')],
      );
      const found = (every: Application) => !before.has(every.id);
      const begun = await watch(cluster, found, ran);
      await ran;
      const ended = (await applications(cluster)).find(({ id }) => id === begun.id)!;
      if (ended.finalStatus !== 'SUCCEEDED') throw new Error(`${ended.id}: ${ended.diagnostics}`);
      return tasks / ((ended.finishedTime - begun.at) / 1000);
    },
  };
}

interface Application {
  readonly id: string;
  readonly state: string;
  readonly finalStatus: string;
  readonly diagnostics: string;
  readonly finishedTime: number;
}

async function applications({ resourceManagerUrl }: HadoopCluster): Promise<Application[]> {
  const response = await fetch(`${resourceManagerUrl}/ws/v1/cluster/apps?applicationTypes=YARN`);
  const { apps } = (await response.json()) as { apps: { app: Application[] } | null };
  return apps?.app ?? [];
}

/** Waits for its master's registration. */
async function watch(
  cluster: HadoopCluster,
  isIt: (application: Application) => boolean,
  ran: Promise<unknown>,
): Promise<{ readonly id: string; readonly at: number }> {
  const over = new AbortController();
  const end = () => over.abort();
  ran.then(end, end);
  while (!over.signal.aborted) {
    const it = (await applications(cluster)).find(isIt);
    if (it && it.state !== 'NEW' && it.state !== 'SUBMITTED' && it.state !== 'ACCEPTED') {
      return { id: it.id, at: Date.now() };
    }
    await pause(20);
  }
  throw new Error(`the application has not begun: ${String(await ran)}`);
}
