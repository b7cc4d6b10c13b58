import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import { answers, resultAnswers } from './answers.ts';
import type { Routes } from './answers.ts';
import type { Callbacks } from './callbacks.ts';
import { processDescription, processSummary } from './describe.ts';
import { execute } from './execute.ts';
import { readKvp } from './kvp.ts';
import {
  DEFAULT_LIMIT,
  ExecuteBody,
  FormatQuery,
  ProcessDescription,
  ProcessList,
  ProcessQuery,
  Results,
  StatusInfo,
} from './schemas.ts';
import { pageLinks } from './write.ts';

const accepted = {
  description: 'The status of the job that was accepted',
  content: { 'application/json': { schema: StatusInfo } },
  headers: { Location: { type: 'string', description: 'URL of the status' } },
};

const told = (schema: TSchema) => ({
  post: { requestBody: { required: true, content: { 'application/json': { schema } } } },
});

const CALLBACKS = {
  jobSuccess: { '{$request.body#/subscriber/successUri}': told(Results) },
  jobInProgress: { '{$request.body#/subscriber/inProgressUri}': told(StatusInfo) },
  jobFailed: { '{$request.body#/subscriber/failedUri}': told(StatusInfo) },
};

const params = Type.Object({ processId: Type.String() });

/** What can be executed. */
export const processRoutes: Routes = async (app, { door, apiUrl }) => {
  app.get(
    '/processes',
    {
      schema: {
        summary: 'Processes',
        querystring: ProcessQuery,
        response: answers('A page of the list of processes', ProcessList),
      },
    },
    async (request) => {
      const { limit = DEFAULT_LIMIT, offset = 0 } = request.query;
      const api = apiUrl(request);
      const processes = await door.jobs(request).processes();
      return {
        processes: processes
          .slice(offset, offset + limit)
          .map((process) => processSummary(api, process)),
        links: pageLinks(`${api}/processes`, { limit, offset }, processes.length),
      };
    },
  );

  app.get(
    '/processes/:processId',
    {
      schema: {
        summary: 'A process',
        params,
        querystring: FormatQuery,
        response: answers('Its inputs and outputs', ProcessDescription),
      },
    },
    async (request) =>
      processDescription(
        apiUrl(request),
        await door.jobs(request).process(request.params.processId),
      ),
  );
};

/** How it is executed. */
export const executionRoutes: Routes<{ readonly callbacks: Callbacks }> = async (
  app,
  { door, callbacks, apiUrl },
) => {
  app.post(
    '/processes/:processId/execution',
    {
      schema: {
        summary: 'Execute a process',
        params,
        headers: Type.Object({
          prefer: Type.Optional(
            Type.String({ description: 'respond-async, respond-sync, wait=<seconds>' }),
          ),
        }),
        body: ExecuteBody,
        callbacks: CALLBACKS,
        response: {
          ...resultAnswers,
          201: accepted,
        },
      },
    },
    async (request, reply) => {
      const { params: asked, headers, body } = request;
      const process = await door.jobs(request).process(asked.processId);
      const { prefer } = headers;
      const execution = { door, callbacks, api: apiUrl(request), process, body, prefer };
      return execute(execution, request, reply);
    },
  );
};

/** How it is executed by a URL alone, as a draft has it. */
export const kvpRoutes: Routes<{ readonly callbacks: Callbacks }> = async (
  app,
  { door, callbacks, apiUrl },
) => {
  app.get(
    '/processes/:processId/execution',
    {
      schema: {
        summary: 'Execute a process',
        description:
          'As the draft of version 2.0 has it: inputs and outputs are parameters of the query',
        params,
        response: { ...resultAnswers, 201: accepted },
      },
    },
    async (request, reply) => {
      const process = await door.jobs(request).process(request.params.processId);
      const query = new URLSearchParams(request.url.replace(/^[^?]*/, ''));
      const { body, prefer } = readKvp(query, process);
      const execution = { door, callbacks, api: apiUrl(request), process, body, prefer };
      return execute(execution, request, reply);
    },
  );
};
