import { randomUUID } from 'node:crypto';
import { Ajv } from 'ajv';
import type { Options, ValidateFunction } from 'ajv';
import { fastify, LogController } from 'fastify';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchemaCompiler,
} from 'fastify';
import { PushbroomError } from './errors.ts';
import type { ErrorCode } from './errors.ts';

export interface HttpOptions {
  readonly logger: FastifyBaseLogger;
  /** Bytes of a request body. */
  readonly bodyLimit: number;
  /** Addresses and networks of proxies that are believed for whom they ask (`X-Forwarded-For`, `-Host`, `-Proto`). */
  readonly trustedProxies?: readonly string[];
}

// A client may be slow, but not so slow that its connection is held for good.
const REQUEST_TIMEOUT_MS = 30 * 60_000;

/** For what is under way when the server is stopped. */
const CLOSE_MS = 5_000;

/**
 * The HTTP server as both listeners use it. Errors are answered as `{ status, code, message, locator? }`; a gateway
 * with a rendering of its own sets an error handler in its scope and starts it with `describeError`.
 */
export function createHttp({
  logger,
  bodyLimit,
  trustedProxies = [],
}: HttpOptions): FastifyInstance {
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit,
    trustProxy: trustedProxies.length > 0 && [...trustedProxies],
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Before there is a route, e.g. for an address that cannot be decoded.
    frameworkErrors: sendError,
    genReqId: () => randomUUID(),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1000 },
    // Else the framework loads compilers of its own, although it is given others here.
    schemaController: {
      compilersFactory: { buildValidator: noFactory, buildSerializer: noFactory },
    },
  });
  // Whoever stops in the middle of a request or an answer would keep the server from stopping as long.
  app.addHook('preClose', async () => {
    setTimeout(() => app.server.closeAllConnections(), CLOSE_MS).unref();
  });
  app.setValidatorCompiler(createValidatorCompiler());
  // Our own types say what an answer looks like; compiling a serializer for each would only cost time at the start.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler(sendError);
  app.setNotFoundHandler(notFound);
  return app;
}

const noFactory = (): never => {
  throw new Error('the compilers are set for good');
};

/** Compiles a route's schema when it is first asked: most routes of a start never are. */
function createValidatorCompiler(): FastifySchemaCompiler<object> {
  // What a request says is taken or refused, never quietly dropped; query strings become numbers and booleans.
  const options: Options = { coerceTypes: 'array', useDefaults: true, removeAdditional: false };
  let ajv: Ajv | undefined;
  return ({ schema }) => {
    let validate: ValidateFunction | undefined;
    return (data: unknown) => {
      ajv ??= new Ajv(options);
      validate ??= ajv.compile(schema);
      if (validate(data)) return { value: data };
      const message = ajv.errorsText(validate.errors, { dataVar: 'the request' });
      return { error: Object.assign(new Error(message), { validation: validate.errors ?? [] }) };
    };
  };
}

function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, code, message, locator } = describeError(thrown, request);
  return reply.code(status).send({ status, code, message, locator });
}

/** The not-found handler; a scope with its own error handler has to set it again. */
export function notFound(request: FastifyRequest): never {
  throw new PushbroomError('NOT_FOUND', `there is no ${request.method} ${pathOf(request)}`);
}

/** The path of a request as it was sent, without query and trailing slash. */
export const pathOf = (request: FastifyRequest): string =>
  request.url.replace(/\?.*$/s, '').replace(/\/$/, '');

/**
 * What the caller may know of anything that was thrown. The framework's own refusals become entries of the
 * catalogue; all else is our bug: it is logged with its stack and told as an internal error with the request's id.
 */
export function describeError(thrown: unknown, request: FastifyRequest): PushbroomError {
  if (thrown instanceof PushbroomError && thrown.code !== 'INTERNAL') return thrown;
  if (isRefusal(thrown)) {
    const locator = thrown.validation?.[0] && locatorOf(thrown.validation[0]);
    return new PushbroomError(refusalCode(thrown), thrown.message, {
      cause: thrown,
      ...(locator && { locator }),
    });
  }
  // Who has the signature of a link has what it leads to.
  const url = request.url.replaceAll(/(signature=)[^&]*/g, '$1...');
  request.log.error({ err: thrown, reqId: request.id, url }, 'request failed');
  return new PushbroomError('INTERNAL', `internal error (request ${request.id})`, {
    cause: thrown,
  });
}

/** An error by which the framework refuses a request. */
interface Refusal extends Error {
  readonly statusCode: number;
  readonly validation?: readonly Violation[];
}

interface Violation {
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
}

const isRefusal = (thrown: unknown): thrown is Refusal =>
  thrown instanceof Error &&
  'statusCode' in thrown &&
  typeof thrown.statusCode === 'number' &&
  thrown.statusCode >= 400 &&
  thrown.statusCode < 500;

const REFUSALS: Readonly<Record<number, ErrorCode>> = {
  404: 'NOT_FOUND',
  413: 'REQUEST_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
};

const refusalCode = ({ statusCode, validation }: Refusal): ErrorCode =>
  validation ? 'INVALID_PARAMETER' : (REFUSALS[statusCode] ?? 'MALFORMED_REQUEST');

function locatorOf({ instancePath, params }: Violation): string | undefined {
  if (instancePath !== '') return instancePath.slice(1).replaceAll('/', '.');
  const { missingProperty } = params;
  return typeof missingProperty === 'string' ? missingProperty : undefined;
}
