import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';

/** Hadoop's properties by their names. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/** Above what the tests set themselves. */
export interface SiteSettings {
  readonly core?: Settings;
  readonly hdfs?: Settings;
  readonly yarn?: Settings;
  readonly scheduler?: Settings;
}

export interface HadoopNode {
  /** As HDFS and YARN know it; an address of 127.0.0.0/8. */
  readonly name: string;
  readonly rack: string;
}

export interface Site {
  /** What goes with the cluster: configuration, data, logs. */
  readonly directory: string;
  /** Of NameNode and ResourceManager. */
  readonly host: string;
  readonly nodes: readonly HadoopNode[];
  readonly capacity: { readonly vcores: number; readonly memoryMb: number };
  /** Between a NodeManager's heartbeats. */
  readonly heartbeatMs: number;
  readonly settings: SiteSettings;
  /** Of single daemons: `nm1`, `dn2`. */
  readonly daemonSettings: Readonly<Record<string, Settings>>;
}

/** Writes a configuration directory for daemons and clients. */
export async function writeSettings(site: Site): Promise<string> {
  const directory = join(site.directory, 'conf');
  await mkdir(directory, { recursive: true });
  const { settings, daemonSettings } = site;
  const write = (name: string, ...all: readonly (Settings | undefined)[]) =>
    writeFile(join(directory, name), xml(Object.assign({}, ...all)));
  await write('core-site.xml', core(site), settings.core);
  await write('hdfs-site.xml', hdfs(site), settings.hdfs);
  await write('yarn-site.xml', yarn(site), settings.yarn);
  await write('capacity-scheduler.xml', scheduler, settings.scheduler);
  for (const [index, node] of site.nodes.entries()) {
    const number = index + 1;
    const [data, manager] = [`dn${number}`, `nm${number}`];
    await write(`${data}.xml`, dataNode(site, node, number), daemonSettings[data]);
    await write(`${manager}.xml`, nodeManager(site, node, number), daemonSettings[manager]);
  }
  await writeFile(join(directory, 'nodes.exclude'), '');
  await writeFile(join(directory, 'log4j.properties'), LOG4J);
  return directory;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
const escape = (text: string): string => text.replace(/[&<>]/g, (sign) => ESCAPES[sign]!);

export const xml = (settings: Settings): string =>
  `<configuration>\n${Object.entries(settings)
    .map(([name, value]) => {
      return `<property><name>${escape(name)}</name><value>${escape(String(value))}</value></property>\n`;
    })
    .join('')}</configuration>\n`;

const user = userInfo().username;

const core = ({ directory, host, nodes }: Site): Settings => ({
  'fs.defaultFS': `hdfs://${host}:8020`,
  'hadoop.tmp.dir': join(directory, 'tmp'),
  // As whom the REST of YARN takes those who do not say who they are.
  'hadoop.http.staticuser.user': user,
  // Gateways speak for their users.
  [`hadoop.proxyuser.${user}.hosts`]: '*',
  [`hadoop.proxyuser.${user}.groups`]: '*',
  'hadoop.security.token.service.use_ip': false,
  'net.topology.node.switch.mapping.impl': 'LoopbackRacks',
  'pushbroom.racks': nodes.map(({ name, rack }) => `${name}=${rack}`).join(','),
});

const hdfs = ({ directory, host }: Site): Settings => ({
  'dfs.replication': 1,
  'dfs.blocksize': 8 * 1024 ** 2,
  'dfs.namenode.fs-limits.min-block-size': 4096,
  'dfs.namenode.rpc-bind-host': host,
  'dfs.namenode.http-address': `${host}:9870`,
  'dfs.namenode.name.dir': `file://${directory}/nn`,
  // Addresses of this machine have no names.
  'dfs.namenode.datanode.registration.ip-hostname-check': false,
  'dfs.client.use.datanode.hostname': true,
  'dfs.datanode.use.datanode.hostname': true,
  'dfs.namenode.safemode.extension': 0,
  // A DataNode is dead after two of the first and ten of the second.
  'dfs.namenode.heartbeat.recheck-interval': 1000,
  'dfs.heartbeat.interval': 1,
});

function yarn({ directory, host, capacity, heartbeatMs }: Site): Settings {
  return {
    'yarn.resourcemanager.hostname': host,
    'yarn.resourcemanager.bind-host': host,
    'yarn.resourcemanager.scheduler.class':
      'org.apache.hadoop.yarn.server.resourcemanager.scheduler.capacity.CapacityScheduler',
    'yarn.resourcemanager.nodemanagers.heartbeat-interval-ms': heartbeatMs,
    'yarn.resourcemanager.nodes.exclude-path': join(directory, 'conf/nodes.exclude'),
    'yarn.resourcemanager.recovery.enabled': true,
    'yarn.resourcemanager.store.class':
      'org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore',
    'yarn.resourcemanager.fs.state-store.uri': `file://${directory}/rm`,
    'yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms': 3000,
    // How often is tried whether it is there again; Hadoop's own is half a minute.
    'yarn.resourcemanager.connect.retry-interval.ms': 500,
    'yarn.nm.liveness-monitor.expiry-interval-ms': 15_000,
    // Otherwise these two are the same of all clusters of a user.
    'yarn.node-labels.fs-store.root-dir': `file://${directory}/node-labels`,
    'yarn.node-attribute.fs-store.root-dir': `file://${directory}/node-attributes`,
    'yarn.scheduler.minimum-allocation-mb': 1,
    'yarn.scheduler.minimum-allocation-vcores': 1,
    'yarn.nodemanager.resource.memory-mb': capacity.memoryMb,
    'yarn.nodemanager.resource.cpu-vcores': capacity.vcores,
    // Memory: "enforced" says that the kernel's control groups do it, and without them nobody would.
    'yarn.nodemanager.resource.memory.enforced': false,
    'yarn.nodemanager.pmem-check-enabled': true,
    'yarn.nodemanager.vmem-check-enabled': false,
    'yarn.nodemanager.resource-monitor.interval-ms': 1000,
    'yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage': 99,
    'yarn.nodemanager.recovery.enabled': true,
    'yarn.nodemanager.env-whitelist': 'JAVA_HOME,HADOOP_CONF_DIR,PATH,LANG,TZ',
    'yarn.log-aggregation-enable': true,
    'yarn.nodemanager.remote-app-log-dir': '/logs',
  };
}

const QUEUE = 'yarn.scheduler.capacity.root';
const queue = (name: string): Settings => ({
  [`${QUEUE}.${name}.capacity`]: 50,
  [`${QUEUE}.${name}.maximum-capacity`]: 100,
  [`${QUEUE}.${name}.user-limit-factor`]: 10,
});

const scheduler: Settings = {
  [`${QUEUE}.queues`]: 'default,other',
  ...queue('default'),
  ...queue('other'),
  'yarn.scheduler.capacity.maximum-am-resource-percent': 0.9,
  'yarn.scheduler.capacity.maximum-applications': 10_000,
  'yarn.scheduler.capacity.node-locality-delay': 40,
  'yarn.scheduler.capacity.resource-calculator':
    'org.apache.hadoop.yarn.util.resource.DominantResourceCalculator',
};

const caller = ({ name }: HadoopNode): Settings => ({
  'hadoop.rpc.socket.factory.class.default': 'BoundSocketFactory',
  'pushbroom.address': name,
});

const dataNode = ({ directory }: Site, node: HadoopNode, number: number): Settings => ({
  ...caller(node),
  'dfs.datanode.hostname': node.name,
  'dfs.datanode.address': `${node.name}:9866`,
  'dfs.datanode.http.address': `${node.name}:9864`,
  'dfs.datanode.ipc.address': `${node.name}:9867`,
  'dfs.datanode.data.dir': `file://${directory}/dn${number}`,
});

const nodeManager = ({ directory }: Site, node: HadoopNode, number: number): Settings => ({
  ...caller(node),
  'yarn.nodemanager.hostname': node.name,
  'yarn.nodemanager.address': `${node.name}:45454`,
  'yarn.nodemanager.localizer.address': `${node.name}:8040`,
  'yarn.nodemanager.webapp.address': `${node.name}:8042`,
  'yarn.nodemanager.collector-service.address': `${node.name}:8048`,
  'yarn.nodemanager.local-dirs': `${directory}/nm${number}/local`,
  'yarn.nodemanager.log-dirs': `${directory}/nm${number}/logs`,
  'yarn.nodemanager.recovery.dir': `${directory}/nm${number}/recovery`,
});

const LOG4J = `log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
`;
