import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import type { FrontDoor } from '../front-door.ts';
import { Exception, Results } from './schemas.ts';

/** What the routes of this API are made of. */
export interface RoutesOptions {
  readonly door: FrontDoor;
  /** URL of the landing page. */
  readonly apiUrl: (request: FastifyRequest) => string;
}

export type Routes<Options = unknown> = FastifyPluginAsyncTypebox<RoutesOptions & Options>;

const page = { schema: Type.String() };
const exception = {
  description: 'What is wrong',
  content: { 'application/json': { schema: Exception }, 'text/html': page },
};
const exceptions = { '4xx': exception, '5xx': exception };

/** An answer that can also be had as a page. */
export const answers = <T extends TSchema>(description: string, schema: T) => ({
  200: { description, content: { 'application/json': { schema }, 'text/html': page } },
  ...exceptions,
});

const RawValue = Type.Unknown({ description: 'A single value that is JSON itself' });

/** What a job has left, in whatever form was asked for. */
export const resultAnswers = {
  200: {
    description: 'The results: a document, one value with its own type, or several',
    content: {
      'application/json': { schema: Type.Union([Results, RawValue]) },
      'multipart/related': { schema: Type.String() },
      'text/plain': { schema: Type.String() },
      '*/*': { schema: Type.Unsafe({ type: 'string', format: 'binary' }) },
    },
  },
  204: Type.Null({ description: 'Nothing, or links to the results in the header' }),
  ...exceptions,
};
