import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { parseAttemptId } from '../core/ids.ts';
import { PushbroomError } from '../errors.ts';
import type { ExecuteRequest } from '../jobs/jobs.ts';
import type { OperatorOptions } from './options.ts';
import { Quote } from './quote-schemas.ts';
import {
  ApiError,
  Attempt,
  AttemptPath,
  Job,
  JobDetails,
  JobFilter,
  JobPath,
  LogRange,
  OnBehalf,
  pageOf,
  Result,
  Submission,
  Task,
  TaskFilter,
  TaskPath,
} from './schemas.ts';
import { addSubmissionTypes, readSubmission } from './submission.ts';
import { attemptView, jobDetailsView, jobView, quoteView, resultView, taskView } from './views.ts';

const failures = { '4xx': ApiError, '5xx': ApiError };

/** Jobs: list, submit, look at, dismiss, results. */
export function addJobRoutes(app: FastifyInstance, options: OperatorOptions): void {
  const { jobs, publicUrl } = options;
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  api.get(
    '/api/jobs',
    {
      schema: {
        tags: ['jobs'],
        querystring: JobFilter,
        response: { 200: pageOf(Job), ...failures },
      },
    },
    async ({ query: { state, ...query } }) => {
      const page = await jobs.list({ ...query, ...(state && { states: state }) });
      return { ...page, items: page.items.map(jobView) };
    },
  );

  addSubmission(app, options);
  const oneJob = {
    schema: { tags: ['jobs'], params: JobPath, response: { 200: JobDetails, ...failures } },
  };
  api.get('/api/jobs/:id', oneJob, async ({ params }) =>
    jobDetailsView(await jobs.status(params.id)),
  );
  api.delete('/api/jobs/:id', oneJob, async ({ params }) =>
    jobDetailsView(await jobs.dismiss(params.id)),
  );

  api.get(
    '/api/jobs/:id/results',
    { schema: { tags: ['jobs'], params: JobPath, response: { 200: pageOf(Result), ...failures } } },
    async ({ params }) => {
      const status = await jobs.status(params.id);
      const results = await jobs.results(params.id);
      return { items: results.map((result) => resultView(status, result, publicUrl())) };
    },
  );
}

function addSubmission(app: FastifyInstance, { jobs, readExecute }: OperatorOptions): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>();
  addSubmissionTypes(app);
  const asked = { tags: ['jobs'], querystring: OnBehalf, body: Submission };
  const preValidation = readSubmission(readExecute);
  api.post(
    '/api/jobs',
    {
      schema: {
        ...asked,
        description:
          'Takes a WPS 1.0.0 Execute (application/xml) and a map of production parameters (application/yaml, or ' +
          'application/json with `productionType`) as well: see docs/requests.md.',
        response: { 201: JobDetails, ...failures },
      },
      preValidation,
    },
    async ({ body }, reply) => {
      const status = await jobs.submit(requestOf(body));
      reply.code(201).header('location', `/api/jobs/${encodeURIComponent(status.job.id)}`);
      return jobDetailsView(status);
    },
  );
  api.post(
    '/api/quotes',
    {
      schema: {
        ...asked,
        description: 'What a job would cost; nothing is run. Takes what `POST /api/jobs` takes.',
        response: { 200: Quote, ...failures },
      },
      preValidation,
    },
    async ({ body }) => quoteView(await jobs.quote(requestOf(body))),
  );
}

function requestOf(submission: Submission): ExecuteRequest {
  const { process, inputs, user = 'operator', reference } = submission;
  const texts = Object.entries(inputs).map(([name, value]) => [name, String(value)] as const);
  return {
    process,
    inputs: Object.fromEntries(texts),
    caller: { user, role: 'operator', groups: [], ...(reference !== undefined && { reference }) },
  };
}

/** What a job is doing: tasks, attempts and what they said. */
export function addTaskRoutes(app: FastifyInstance, { jobs, readLog }: OperatorOptions): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  api.get(
    '/api/jobs/:id/tasks',
    {
      schema: {
        tags: ['tasks'],
        params: JobPath,
        querystring: TaskFilter,
        response: { 200: pageOf(Task), ...failures },
      },
    },
    async ({ params, query: { state, ...query } }) => {
      await jobs.status(params.id);
      const page = await jobs.tasks(params.id, { ...query, ...(state && { states: state }) });
      return { ...page, items: page.items.map(taskView) };
    },
  );

  api.get(
    '/api/jobs/:id/tasks/:n/attempts',
    {
      schema: {
        tags: ['tasks'],
        params: TaskPath,
        response: { 200: pageOf(Attempt), ...failures },
      },
    },
    async ({ params }) => {
      await jobs.status(params.id);
      const attempts = await jobs.attempts(params.id, params.n);
      return { items: attempts.map(attemptView) };
    },
  );

  api.get(
    '/api/attempts/:id/log',
    {
      schema: {
        tags: ['tasks'],
        description: 'Part of a log. `X-Next-Offset` says where the next part begins.',
        params: AttemptPath,
        querystring: LogRange,
        response: { 200: { content: { 'text/plain': { schema: Type.String() } } }, ...failures },
      },
    },
    async ({ params, query }, reply) => {
      const { jobId, task } = parseAttemptId(params.id)!;
      const attempts = await jobs.attempts(jobId, task);
      if (!attempts.some(({ id }) => id === params.id)) {
        throw new PushbroomError('NOT_FOUND', `There is no attempt ${params.id}`);
      }
      const { text, next } = await readLog(params.id, query.stream, query.offset, query.limit);
      reply.type('text/plain; charset=utf-8').header('x-next-offset', next);
      return text;
    },
  );
}
