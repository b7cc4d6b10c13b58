import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { PushbroomError } from '../errors.ts';
import type { Action } from '../jobs/jobs.ts';
import { JobChange, Outcome, Report, Resume, Retry, SelectedAction } from './action-schemas.ts';
import type { OperatorOptions } from './options.ts';
import {
  ApiError,
  Explanation,
  ExplainPath,
  FailureGroup,
  JobDetails,
  JobPath,
  pageOf,
  SuspectInput,
} from './schemas.ts';
import {
  explanationView,
  failureGroupView,
  jobDetailsView,
  outcomeView,
  suspectInputView,
} from './views.ts';

const failures = { '4xx': ApiError, '5xx': ApiError };

/** What may be done to jobs: one of them, or all of a selection. */
export function addControlRoutes(
  app: FastifyInstance,
  { jobs, operations }: OperatorOptions,
): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>();
  const oneJob = { tags: ['jobs'], params: JobPath, response: { 200: JobDetails, ...failures } };

  async function change(id: string, action: Action) {
    await operations.act(id, action);
    return jobDetailsView(await jobs.status(id));
  }

  api.post('/api/jobs/:id/pause', { schema: oneJob }, ({ params }) =>
    change(params.id, { type: 'pause' }),
  );
  api.post(
    '/api/jobs/:id/resume',
    { preValidation: allowNoBody, schema: { ...oneJob, body: Resume } },
    ({ params, body }) => change(params.id, { type: 'resume', ...body }),
  );
  api.patch('/api/jobs/:id', { schema: { ...oneJob, body: JobChange } }, ({ params, body }) =>
    change(params.id, { type: 'prioritise', ...body }),
  );

  api.post(
    '/api/jobs/:id/retry',
    {
      preValidation: allowNoBody,
      schema: {
        tags: ['jobs'],
        description:
          'Does failed tasks again. Those of a job that has ended become a new job, which takes over what is done.',
        params: JobPath,
        body: Retry,
        response: { 200: Outcome, ...failures },
      },
    },
    async ({ params, body }) =>
      outcomeView(await operations.act(params.id, { type: 'retry', ...body })),
  );

  api.post(
    '/api/jobs/actions',
    {
      schema: {
        tags: ['jobs'],
        description: 'Does the same to several jobs, named by `ids` or by `filter`.',
        body: SelectedAction,
        response: { 200: Report, ...failures },
      },
    },
    async ({ body }) => {
      const { ids, filter: { state: states, ...filter } = {}, dryRun = false } = body;
      const selection = { ...filter, ...(ids && { ids }), ...(states && { states }) };
      const report = await operations.actOnAll(selection, actionOf(body), dryRun);
      return { ...report, items: report.items.map(outcomeView) };
    },
  );
}

/** Why things are as they are. */
export function addExplainRoutes(app: FastifyInstance, { operations }: OperatorOptions): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  api.get(
    '/api/explain/:id',
    {
      schema: {
        tags: ['jobs'],
        description: 'Why a job, a task or an attempt waits, runs or has failed.',
        params: ExplainPath,
        response: { 200: Explanation, ...failures },
      },
    },
    async ({ params }) => explanationView(await operations.explain(params.id)),
  );

  api.get(
    '/api/jobs/:id/failures',
    {
      schema: {
        tags: ['jobs'],
        description: 'What failed, by cause.',
        params: JobPath,
        response: { 200: pageOf(FailureGroup), ...failures },
      },
    },
    async ({ params }) => ({ items: (await operations.failures(params.id)).map(failureGroupView) }),
  );

  api.get(
    '/api/inputs/suspect',
    {
      schema: {
        tags: ['inventory'],
        description: 'Inputs that failed in several jobs.',
        response: { 200: pageOf(SuspectInput), ...failures },
      },
    },
    async () => ({ items: (await operations.suspectInputs()).map(suspectInputView) }),
  );
}

/** Where everything in a body is optional, so is the body. */
export async function allowNoBody(request: FastifyRequest): Promise<void> {
  request.body ??= {};
}

/** What may be said of an action besides its name. */
const PARAMETERS = {
  pause: [],
  resume: ['maxCpuHours'],
  cancel: [],
  prioritise: ['priority', 'group'],
  retry: ['cause', 'memoryMb', 'version'],
} as const;

/** @throws INVALID_PARAMETER for what belongs to another action */
function actionOf({ action, ...body }: SelectedAction): Action {
  const allowed: readonly string[] = PARAMETERS[action];
  const given = Object.entries(body).filter(([name]) => !SELECTION.has(name));
  const foreign = given.find(([name]) => !allowed.includes(name));
  if (foreign) {
    throw new PushbroomError('INVALID_PARAMETER', `'${action}' has no '${foreign[0]}'.`, {
      locator: foreign[0],
    });
  }
  return { type: action, ...Object.fromEntries(given) };
}

const SELECTION: ReadonlySet<string> = new Set(['ids', 'filter', 'dryRun']);
