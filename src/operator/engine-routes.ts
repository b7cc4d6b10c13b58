import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { PushbroomError, messageOf } from '../errors.ts';
import { allowNoBody } from './control-routes.ts';
import type { OperatorOptions } from './options.ts';
import { ApiError, Engine, EnginePath, pageOf, Teardown } from './schemas.ts';

const failures = { '4xx': ApiError, '5xx': ApiError };

type Port = OperatorOptions['engines'][number];

/** The engines, and how one is given up. */
export function addEngineRoutes(
  app: FastifyInstance,
  { engines, scheduler, logger }: OperatorOptions,
): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  function view(engine: Port): Engine {
    const { isConnected, detail } = engine.status?.() ?? ALWAYS_THERE;
    return { id: engine.id, connected: isConnected, detail, ...scheduler.engineUse(engine.id) };
  }

  api.get(
    '/api/engines',
    { schema: { tags: ['cluster'], response: { 200: pageOf(Engine), ...failures } } },
    async () => ({ items: engines.map(view) }),
  );

  api.post(
    '/api/engines/:id/teardown',
    {
      preValidation: allowNoBody,
      schema: {
        tags: ['cluster'],
        description:
          'Kills all that runs in an engine and takes its name out of its cluster. It is off until the service is started again.',
        params: EnginePath,
        body: Teardown,
        response: { 200: Engine, ...failures },
      },
    },
    async ({ params: { id }, body: { confirm } }) => {
      const engine = findEngine(engines, id);
      if (!engine.teardown) {
        throw new PushbroomError('NOT_SUPPORTED', `The engine '${id}' cannot be torn down.`);
      }
      if (confirm !== id) {
        const message = `All that runs in '${id}' would be killed: to confirm it, send { "confirm": "${id}" }.`;
        throw new PushbroomError('INVALID_PARAMETER', message, { locator: 'confirm' });
      }
      logger.warn({ engine: id }, 'an operator tears the engine down');
      try {
        await engine.teardown();
      } catch (error) {
        const message = `The engine '${id}' is not torn down: ${messageOf(error)}`;
        throw new PushbroomError('UNAVAILABLE', message, { cause: error });
      }
      return view(engine);
    },
  );
}

const ALWAYS_THERE = { isConnected: true, detail: 'needs no connection' };

function findEngine(engines: readonly Port[], id: string): Port {
  const found = engines.find((engine) => engine.id === id);
  if (found) return found;
  const known = engines.map((engine) => engine.id).join(', ') || 'none';
  throw new PushbroomError('NOT_FOUND', `There is no engine '${id}'. There are: ${known}.`, {
    locator: 'id',
  });
}
