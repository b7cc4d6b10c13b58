import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { createHttp } from '../http.ts';
import { createFrontDoor } from './front-door.ts';
import type { FrontDoor, FrontDoorOptions } from './front-door.ts';
import { Callbacks } from './ogcapi/callbacks.ts';
import type { CallbackTiming } from './ogcapi/callbacks.ts';
import { ogcApi } from './ogcapi/routes.ts';
import { sendPage } from './page.ts';
import type { ServiceInfo } from './service-info.ts';
import { staging } from './staging.ts';
import { upload } from './upload.ts';
import type { UploadOptions } from './upload.ts';
import { wps } from './wps/wps.ts';

export interface PublicServerOptions extends FrontDoorOptions {
  readonly logger: FastifyBaseLogger;
  readonly trustedProxies?: readonly string[];
  readonly service: ServiceInfo;
  readonly uploads: UploadOptions['uploads'];
  /** Where uploads lie until they are deployed. */
  readonly tempDir: string;
  /** Where callbacks lie until they are delivered. */
  readonly callbackDir: string;
  readonly callbackTiming?: CallbackTiming;
  /** Bytes of an uploaded bundle. */
  readonly uploadLimit: number;
  /** Bytes of any other request body. */
  readonly bodyLimit: number;
  /** HTTP status of WPS exceptions: 200 as portals know it, or what fits. */
  readonly exceptionStatus: 'ok' | 'proper';
  /** Offers what the draft of OGC API - Processes 2.0 adds. */
  readonly draft2: boolean;
}

/** The public listener with all its front doors, ready to listen. */
export async function createPublicServer(options: PublicServerOptions): Promise<FastifyInstance> {
  const { service, exceptionStatus, stagingDir, uploads, tempDir, uploadLimit, draft2 } = options;
  const app = createHttp(options);
  const door = createFrontDoor(app, options);

  await app.register(ogcApi, {
    prefix: '/ogcapi',
    door,
    service,
    draft2,
    callbacks: createCallbacks(app, door, options),
  });
  await app.register(wps, { prefix: '/wps', door, service, exceptionStatus });
  await app.register(staging, { prefix: '/staging', door, stagingDir });
  await app.register(upload, { prefix: '/upload', door, uploads, tempDir, uploadLimit });
  // The paths that portals of Urban TEP have registered (specification B.2, D.9, F.1).
  await app.register(wps, {
    prefix: '/bc-wps/wps/:application',
    door,
    service,
    exceptionStatus,
  });
  await app.register(staging, { prefix: '/bc-wps/staging', door, stagingDir });
  await app.register(upload, { prefix: '/bc-wps/upload', door, uploads, tempDir, uploadLimit });

  app.get('/', (request, reply) => {
    const url = door.baseUrl(request);
    return sendPage(reply, service.title, service.abstract, [
      { href: `${url}/ogcapi`, text: 'OGC API - Processes', note: `${url}/ogcapi` },
      { href: `${url}/ogcapi/processes`, text: 'Processes' },
      { href: `${url}/ogcapi/jobs`, text: 'Jobs' },
      {
        href: `${url}/wps?Service=WPS&Request=GetCapabilities`,
        text: 'WPS 1.0.0 and 2.0',
        note: `${url}/wps`,
      },
    ]);
  });
  return app;
}

function createCallbacks(
  app: FastifyInstance,
  { contents, references }: FrontDoor,
  { callbackDir, callbackTiming, gate, logger }: PublicServerOptions,
): Callbacks {
  const callbacks = new Callbacks({
    directory: callbackDir,
    jobsFor: gate.jobsFor,
    contents,
    references,
    logger,
    ...(callbackTiming && { timing: callbackTiming }),
  });
  app.addHook('onReady', () => callbacks.resume());
  app.addHook('preClose', async () => callbacks[Symbol.dispose]());
  return callbacks;
}
