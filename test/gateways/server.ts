import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { createPublicServer } from '../../src/gateways/public.ts';
import type { PublicServerOptions } from '../../src/gateways/public.ts';
import type { ServiceInfo } from '../../src/gateways/service-info.ts';
import type { Process, ProcessInput, ProcessOutput } from '../../src/jobs/jobs.ts';
import { DEFAULT_LIMITS } from '../../src/processes/archive.ts';
import { createRegistry } from '../../src/processes/registry.ts';
import type { Registry } from '../../src/processes/registry.ts';
import { createUploads } from '../../src/uploads/uploads.ts';
import type { UploadsOptions } from '../../src/uploads/uploads.ts';
import { createTestGate } from '../fixtures/gate.ts';
import { createMemoryJobs } from './memory-jobs.ts';
import type { MemoryJobs } from './memory-jobs.ts';
import { holdToPromises } from './ogcapi-promise.ts';

const input = (
  id: string,
  type: ProcessInput['type'],
  more: Partial<ProcessInput> = {},
): ProcessInput => ({
  id,
  title: id,
  description: `What ${id} is`,
  type,
  required: false,
  ...more,
});

const OUTPUTS: readonly ProcessOutput[] = [
  {
    id: 'production_result',
    title: 'Production result',
    description: 'Files',
    type: 'complex',
    formats: [{ mediaType: 'application/octet-stream', encoding: 'base64' }],
    isList: true,
  },
  {
    id: 'result_metadata',
    title: 'Metadata',
    description: 'The description of the results',
    type: 'complex',
    formats: [{ mediaType: 'application/atom+xml' }],
  },
];

/** The subsetting process of the real documents, and one of our own with every kind of input. */
export const PROCESSES: readonly Process[] = [
  {
    id: 'urbantep-subsetting~1.0~Subset',
    title: 'Urban TEP subsetting',
    description: '',
    version: '1.0',
    inputs: [
      input('productionName', 'string'),
      input('inputDataSetName', 'string', { allowed: ['GUF 12m', 'GUF 75m', 'GUF 75m'] }),
      input('minDate', 'date'),
      input('maxDate', 'date'),
      input('regionWKT', 'wkt'),
      input('spatioTemporalAggregationParameters', 'string', { defaultValue: '<p>60</p>' }),
      input('outputFormat', 'string', {
        allowed: ['GeoTIFF-BigTIFF', 'GeoTIFF', 'NetCDF4'],
        defaultValue: 'GeoTIFF-BigTIFF',
      }),
    ],
    outputs: OUTPUTS,
  },
  {
    id: 'timescan~1.0~Indices',
    title: 'Indices & <TimeScan>',
    description: '<p>Minimum, maximum, mean</p>',
    version: '1.0',
    inputs: [
      input('inputDataSetName', 'string', { required: true }),
      input('regionWKT', 'wkt'),
      input('maxCloudCover', 'number', { range: { min: 0, max: 100 }, defaultValue: '25' }),
      input('partitions', 'integer', { allowed: ['1', '2', '4'] }),
      input('quicklooks', 'boolean', { defaultValue: 'true' }),
    ],
    outputs: OUTPUTS,
  },
];

const SERVICE: ServiceInfo = {
  title: 'Pushbroom',
  abstract: 'Processing of Earth observation data',
  provider: {
    name: 'A centre',
    site: 'https://centre.example',
    contact: {
      individualName: 'Somebody',
      positionName: 'Operator',
      phone: '+49 1',
      facsimile: '+49 2',
      address: {
        deliveryPoint: 'Street 1',
        city: 'Town',
        administrativeArea: 'BY',
        postalCode: '82234',
        country: 'Germany',
        email: 'a@b.example',
      },
      hoursOfService: '24x7',
      instructions: "Don't hesitate to call",
      role: 'PointOfContact',
    },
  },
};

export interface TestServer extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly jobs: MemoryJobs;
  readonly stagingDir: string;
  readonly registry: Registry;
  /** Where everything of this server lies. */
  readonly directory: string;
  /** What was logged as an error: a test that expects none fails on it. */
  readonly errors: string[];
  /** Files left behind by uploads. */
  leftovers(): Promise<string[]>;
}

/** A public server over a directory of its own; disposing it fails if it has logged an error that nobody looked at. */
export async function startServer(
  options: Partial<PublicServerOptions> = {},
  processes: readonly Process[] = PROCESSES,
  login: Record<string, string> = {},
  changes: Partial<UploadsOptions> = {},
): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'pushbroom-gateways-'));
  const stagingDir = join(dir, 'staging');
  const tempDir = join(dir, 'uploads');
  await Promise.all([mkdir(stagingDir), mkdir(tempDir)]);
  const jobs = createMemoryJobs(processes, dir);
  const errors: string[] = [];
  const registry = await createRegistry({
    directory: join(dir, 'bundles'),
    limits: DEFAULT_LIMITS,
    now: Date.now,
    log: { warn: () => undefined },
  });
  const uploads = createUploads({
    registry,
    directory: join(dir, 'users'),
    userBytes: 150_000,
    check: async () => undefined,
    isRunning: async () => false,
    ...changes,
  });
  const app = await createPublicServer({
    logger: pino({ level: 'error' }, { write: (line: string) => void errors.push(line) }),
    gate: createTestGate(jobs, { userPrefix: 'tep_' }),
    service: SERVICE,
    uploads,
    stagingDir,
    tempDir,
    callbackDir: join(dir, 'callbacks'),
    uploadLimit: 100_000,
    bodyLimit: 50_000,
    references: { allow: [], maxBytes: 10_000, seconds: 10, maxRedirects: 2 },
    exceptionStatus: 'ok',
    draft2: false,
    ...options,
  });
  await app.ready();
  holdToPromises(app, login);
  return {
    app,
    jobs,
    stagingDir,
    registry,
    directory: dir,
    errors,
    leftovers: () => readdir(tempDir),
    async [Symbol.asyncDispose]() {
      await app.close();
      await rm(dir, { recursive: true });
      if (errors.length > 0) throw new Error(`logged: ${errors.join('')}`);
    },
  };
}
