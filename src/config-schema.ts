/** What an operator may set. Every key is described in docs/configuration.md. */
import { availableParallelism, totalmem } from 'node:os';
import { Type } from 'typebox';
import type { Static, TProperties } from 'typebox';
import { DEFAULT_POLICY } from './core/policy.ts';
import type { GroupPolicy, Policy } from './core/policy.ts';
import { BUILTINS } from './processes/builtin.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Memory that this process may count on: a container's limit, if it has one. */
const machineMemory = Math.min(totalmem(), process.constrainedMemory() || Infinity);

const group = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false });
const section = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false, default: {} });

const text = Type.String({ minLength: 1 });
const optionalText = Type.Optional(text);
const textOf = (fallback: string) => Type.String({ minLength: 1, default: fallback });
const count = (fallback: number, minimum = 1) => Type.Integer({ minimum, default: fallback });
const seconds = (fallback: number) => Type.Number({ minimum: 0, default: fallback });
const cpus = (fallback: number) => Type.Number({ exclusiveMinimum: 0, default: fallback });
const port = (fallback: number) => Type.Integer({ minimum: 0, maximum: 65_535, default: fallback });

const CONTACT = group({
  individualName: optionalText,
  positionName: optionalText,
  phone: optionalText,
  facsimile: optionalText,
  address: Type.Optional(
    group({
      deliveryPoint: optionalText,
      city: optionalText,
      administrativeArea: optionalText,
      postalCode: optionalText,
      country: optionalText,
      email: optionalText,
    }),
  ),
  hoursOfService: optionalText,
  instructions: optionalText,
  role: optionalText,
});

/** For whom something is there. */
const AUDIENCE = group({
  users: Type.Array(text, { default: [] }),
  groups: Type.Array(text, { default: [] }),
});

const DATASET = group({
  name: text,
  productType: text,
  path: Type.Union([text, Type.Array(text, { minItems: 1 })]),
  roots: Type.Optional(
    Type.Array(
      group({
        path: text,
        pool: optionalText,
        engines: Type.Optional(Type.Array(text, { minItems: 1 })),
      }),
      { minItems: 1 },
    ),
  ),
  minDate: optionalText,
  maxDate: optionalText,
  regionName: optionalText,
  region: optionalText,
  bands: Type.Optional(Type.Array(text)),
  location: Type.Optional(
    group({
      nodes: Type.Optional(Type.Array(text, { minItems: 1 })),
      racks: Type.Optional(Type.Array(text, { minItems: 1 })),
      pool: optionalText,
      pattern: optionalText,
    }),
  ),
  visibleTo: Type.Optional(AUDIENCE),
});

const USER = group({
  name: Type.String({ pattern: '^(?![.])[A-Za-z0-9._@-]{1,100}$' }),
  passwordHash: optionalText,
  role: Type.Enum(['user', 'operator', 'administrator'], { default: 'user' }),
  groups: Type.Array(text, { default: [] }),
  actsForOthers: Type.Boolean({ default: false }),
});

/** The content of `access.usersFile`. */
export const USERS = Type.Array(USER);
export type UserSettings = Static<typeof USERS>[number];

/** Who may ask, and for what. `access` says what everything means. */
const ACCESS = section({
  users: Type.Array(USER, { default: [] }),
  usersFile: optionalText,
  oidc: Type.Optional(
    group({
      issuer: text,
      audience: text,
      jwksUrl: optionalText,
      userClaim: textOf('preferred_username'),
      groupsClaim: textOf('groups'),
      roles: section({
        operator: Type.Array(text, { default: [] }),
        administrator: Type.Array(text, { default: [] }),
      }),
    }),
  ),
  anonymous: Type.Boolean({ default: false }),
  rateLimit: section({
    requests: Type.Optional(Type.Integer({ minimum: 1 })),
    per: Type.Number({ minimum: 1, maximum: 86_400, default: 60 }),
    failedLogins: count(10),
  }),
  bundles: Type.Record(Type.String(), AUDIENCE, { default: {} }),
  auditFile: optionalText,
});

const { locality, agingLimit, reserveAfter, avoid, stragglers } = DEFAULT_POLICY;

/** So that no wait is longer than a timer can be. */
const MOST_SECONDS = 1_000_000;
const wait = (fallback: number) =>
  Type.Number({ minimum: 0, maximum: MOST_SECONDS, default: fallback });
const percent = (fallback: number) => Type.Number({ minimum: 0, maximum: 100, default: fallback });
const optionalCount = Type.Optional(Type.Integer({ minimum: 1 }));

const LIMITS = section({
  runningTasks: optionalCount,
  cpus: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  queuedJobs: optionalCount,
  productsPerRequest: optionalCount,
});

/** A group of the share tree. What is in it refers to it by its id: written out, each level would be compiled anew. */
const GROUP = Type.Object(
  {
    name: text,
    weight: Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000, default: 1 }),
    minimumPercent: percent(0),
    maximumPercent: Type.Number({ exclusiveMinimum: 0, maximum: 100, default: 100 }),
    limits: LIMITS,
    userLimits: LIMITS,
    users: Type.Array(text, { default: [] }),
    groups: Type.Array(Type.Unsafe<unknown>({ $ref: 'group' }), { default: [] }),
  },
  { $id: 'group', additionalProperties: false },
);

/** How the cluster is shared: also what a simulation is given. `core/policy.ts` says what everything means. */
export const SCHEDULING = section({
  groups: Type.Array(Type.Unsafe<GroupPolicy>(GROUP), { default: [] }),
  userLimits: LIMITS,
  nodes: Type.Array(group({ node: text, rack: optionalText, pool: optionalText }), {
    default: [],
    maxItems: 100_000,
  }),
  locality: section({
    nodeWait: wait(locality.nodeWait),
    rackWait: wait(locality.rackWait),
    poolWait: wait(locality.poolWait),
    patience: Type.Number({ minimum: 0, maximum: 1000, default: locality.patience }),
  }),
  costs: Type.Record(Type.String(), Type.Number({ minimum: 0, maximum: 1_000_000 }), {
    default: {},
  }),
  agingLimit: Type.Number({ exclusiveMinimum: 0, maximum: MOST_SECONDS, default: agingLimit }),
  reserveAfter: Type.Number({ minimum: 0, maximum: MOST_SECONDS, default: reserveAfter }),
  avoid: section({
    failures: count(avoid.failures),
    jobs: count(avoid.jobs),
    coolOff: wait(avoid.coolOff),
    maxCoolOff: wait(avoid.maxCoolOff),
  }),
  stragglers: section({
    enabled: Type.Boolean({ default: stragglers.isEnabled }),
    factor: Type.Number({ exclusiveMinimum: 1, maximum: 1000, default: stragglers.factor }),
    minimum: wait(stragglers.minimum),
    peers: count(stragglers.peers),
  }),
});

/** The core's words for what is written. */
export const policyOf = ({
  stragglers: { enabled, ...others },
  ...rest
}: Static<typeof SCHEDULING>): Policy => ({
  ...rest,
  stragglers: { ...others, isEnabled: enabled },
});

/** Apache Mesos; used where it has masters. `engines/mesos` says what everything means. */
const MESOS = section({
  masters: Type.Array(text, { default: [] }),
  name: textOf('pushbroom'),
  user: optionalText,
  roles: Type.Array(text, { minItems: 1, default: ['*'] }),
  principal: optionalText,
  secretFile: optionalText,
  caFile: optionalText,
  certFile: optionalText,
  keyFile: optionalText,
  failoverTimeout: Type.Number({ exclusiveMinimum: 0, maximum: 10_000_000, default: 604_800 }),
  hold: wait(5),
  refuse: wait(5),
  attributes: section({ rack: textOf('rack'), pool: textOf('site') }),
  constraints: Type.Record(Type.String(), Type.Array(text, { minItems: 1 }), { default: {} }),
  agentPort: port(5051),
  maintenanceLead: wait(3600),
  unreachable: wait(300),
  silence: wait(600),
  killGrace: wait(10),
  node: Type.Optional(Type.String({ pattern: '^/' })),
  cacheDirectory: Type.String({ pattern: '^/', default: '/var/tmp/pushbroom' }),
  cacheInputs: Type.Boolean({ default: false }),
  isolation: Type.Enum(['none', 'bubblewrap'], { default: 'none' }),
  containerizer: Type.Enum(['none', 'mesos', 'docker'], { default: 'none' }),
  sharedDirectories: Type.Array(Type.String({ pattern: '^/' }), { default: [] }),
});

/** YARN; used where it has ResourceManagers. `engines/yarn` says what everything means. */
const YARN = section({
  resourceManagers: Type.Array(text, { default: [] }),
  hadoopConfiguration: optionalText,
  java: textOf('java'),
  applicationMaster: Type.Enum(['unmanaged', 'managed'], { default: 'unmanaged' }),
  managed: section({
    host: textOf('127.0.0.1'),
    port: port(8083),
    baseUrl: optionalText,
    certFile: optionalText,
    keyFile: optionalText,
    caFile: optionalText,
    java: Type.String({ pattern: '^[A-Za-z0-9._/${}+-]{1,500}$', default: 'java' }),
    memoryMb: count(512, 128),
  }),
  principal: optionalText,
  keytab: optionalText,
  storage: optionalText,
  cacheDirectory: Type.String({ pattern: '^/', default: '/pushbroom/cache' }),
  name: Type.String({ pattern: '^[a-z0-9_-]{1,50}$', default: 'pushbroom' }),
  queue: textOf('default'),
  queues: Type.Record(Type.String(), text, { default: {} }),
  nodeLabel: optionalText,
  constraints: Type.Record(Type.String(), Type.Array(text, { minItems: 1 }), { default: {} }),
  pool: optionalText,
  wait: wait(60),
  idle: wait(60),
  startWait: wait(300),
  runnerMemoryMb: count(128, 0),
  node: Type.Optional(Type.String({ pattern: '^/' })),
  isolation: Type.Enum(['none', 'bubblewrap'], { default: 'none' }),
  sharedDirectories: Type.Array(Type.String({ pattern: '^/' }), { default: [] }),
});

/** A Hadoop file system, by WebHDFS or HttpFS. `storage/webhdfs` says what everything means. */
const HDFS = group({
  name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' }),
  urls: Type.Array(text, { minItems: 1 }),
  user: optionalText,
  authentication: Type.Enum(['simple', 'token', 'kerberos'], { default: 'simple' }),
  tokenFile: optionalText,
  principal: optionalText,
  keytab: optionalText,
  caFile: optionalText,
  replication: optionalCount,
  blockSize: optionalCount,
});

export const CONFIG_SCHEMA = Type.Object(
  {
    dataDir: textOf('./data'),
    workDir: optionalText,
    public: section({
      host: textOf('127.0.0.1'),
      port: port(8080),
      baseUrl: optionalText,
      trustedProxies: Type.Array(text, { default: [] }),
      bodyLimit: count(4 * MIB),
    }),
    references: section({
      allow: Type.Array(text, { default: [] }),
      maxBytes: count(4 * MIB),
      seconds: count(30),
      maxRedirects: count(3, 0),
    }),
    ogcapi: section({ draft2: Type.Boolean({ default: false }) }),
    internal: section({
      host: textOf('127.0.0.1'),
      port: port(8081),
      authentication: Type.Boolean({ default: false }),
    }),
    access: ACCESS,
    nodeFiles: section({ host: textOf('127.0.0.1'), port: port(8082), baseUrl: optionalText }),
    service: section({
      title: textOf('Pushbroom'),
      abstract: textOf('Processing of Earth-observation data near the data.'),
      provider: section({
        name: textOf('Pushbroom'),
        site: optionalText,
        contact: Type.Optional(CONTACT),
      }),
      builtins: Type.Array(Type.Enum(BUILTINS.map(({ id }) => id)), { default: ['echo'] }),
    }),
    datasets: Type.Array(DATASET, { default: [] }),
    archive: section({ root: optionalText, allowed: Type.Optional(Type.Array(text)) }),
    bundles: Type.Array(text, { default: [] }),
    jobs: section({
      maxAttempts: count(3),
      maxLosses: count(10),
      failurePercent: percent(0),
      retryDelay: seconds(1),
      maxRetryDelay: seconds(60),
      wallTimeLimit: count(86_400),
      silenceLimit: count(600),
      cpus: cpus(1),
      memoryMb: count(1024),
      maxMemoryMb: optionalCount,
      priority: Type.Integer({ minimum: 0, maximum: 200, default: 100 }),
      productsPerRequest: count(1_000_000),
      assumedTaskSeconds: count(60),
      maxCpuHours: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
      keepFailed: Type.Number({ minimum: 0, maximum: 10_000, default: 7 }),
    }),
    scheduling: SCHEDULING,
    engines: section({
      local: section({
        enabled: Type.Boolean({ default: true }),
        keepRunning: Type.Boolean({ default: true }),
        cpus: cpus(availableParallelism()),
        memoryMb: count(Math.floor((0.8 * machineMemory) / MIB)),
        isolation: Type.Enum(['auto', 'none', 'bubblewrap'], { default: 'auto' }),
        outputLimit: count(64 * MIB),
      }),
      mesos: MESOS,
      yarn: YARN,
    }),
    storage: section({ hdfs: Type.Array(HDFS, { default: [] }) }),
    uploads: section({
      compressedBytes: count(2 * GIB),
      expandedBytes: count(8 * GIB),
      entries: count(100_000),
      userBytes: count(10 * GIB),
      check: Type.Array(text, { default: [] }),
      checkSeconds: count(300),
    }),
    staging: section({
      user: Type.String({ pattern: '^(?![.])[A-Za-z0-9._@-]{1,100}$', default: 'anonymous' }),
      userPrefix: Type.String({ pattern: '^(?![.])[A-Za-z0-9._@-]{0,50}$', default: '' }),
      directory: optionalText,
    }),
    log: section({
      level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
        default: 'info',
      }),
      file: optionalText,
    }),
  },
  { additionalProperties: false },
);

/** The configuration as it is written, with its defaults. */
export type Settings = Static<typeof CONFIG_SCHEMA>;
export type DatasetSettings = Settings['datasets'][number];
