import { Type } from 'typebox';
import { PushbroomError } from '../../errors.ts';
import { answers, resultAnswers } from './answers.ts';
import type { Routes } from './answers.ts';
import { outcomeOf } from './execute.ts';
import { readJobQuery } from './job-list.ts';
import { wantsPage } from './pages.ts';
import { asLinks, deliveriesOf, resultsDocument, sendResults } from './results.ts';
import { FormatQuery, JobList, JobListQuery, StatusInfo } from './schemas.ts';
import { link, statusInfo } from './write.ts';

const params = Type.Object({ jobId: Type.String() });

/** What was executed. */
export const jobRoutes: Routes = async (app, { door, apiUrl }) => {
  app.get(
    '/jobs',
    {
      schema: {
        summary: 'Jobs',
        querystring: JobListQuery,
        response: answers('A page of the list of jobs, the newest first', JobList),
      },
    },
    async (request) => {
      const api = apiUrl(request);
      const url = new URL(`${api}/jobs${request.url.replace(/^[^?]*/, '')}`);
      // A link is of a type; how this page was asked for says nothing about the next.
      url.searchParams.delete('f');
      const links = [link(url.href, 'self', 'This list')];
      // Every job is one of a process; the standard leaves room for others.
      if (request.query.type?.includes('process') === false) return { jobs: [], links };
      const query = readJobQuery(request.query, Date.now());
      const { items, next } = await door.jobs(request).list(query);
      if (next !== undefined) {
        url.searchParams.set('after', next);
        links.push(link(url.href, 'next', 'The next page'));
      }
      return { jobs: items.map((status) => statusInfo(api, status)), links };
    },
  );

  const status = answers('How far it has come', StatusInfo);
  app.get(
    '/jobs/:jobId',
    { schema: { summary: 'A job', params, querystring: FormatQuery, response: status } },
    async (request) =>
      statusInfo(apiUrl(request), await door.jobs(request).status(request.params.jobId)),
  );

  app.delete(
    '/jobs/:jobId',
    { schema: { summary: 'Dismiss a job', params, response: status } },
    async (request) =>
      statusInfo(apiUrl(request), await door.jobs(request).dismiss(request.params.jobId)),
  );
};

/** What has come of it. */
export const resultRoutes: Routes = async (app, { door }) => {
  app.get(
    '/jobs/:jobId/results',
    {
      schema: {
        summary: 'Results of a job',
        description: 'As Execute asked for them; `f=json` gives a document in any case',
        params,
        querystring: FormatQuery,
        response: resultAnswers,
      },
    },
    async (request, reply) => {
      const outcome = await outcomeOf(door, request, request.params.jobId);
      if (wantsPage(request)) return reply.send(await resultsDocument(outcome, asLinks(outcome)));
      return sendResults(reply, outcome, request.query.f === 'json' ? 'document' : undefined);
    },
  );
};

/** The results one by one, as a draft has them. */
export const outputRoutes: Routes = async (app, { door }) => {
  app.get(
    '/jobs/:jobId/results/:outputId',
    {
      schema: {
        summary: 'A result of a job',
        description: 'As the draft of version 2.0 has it: the value of one output',
        params: Type.Object({ jobId: Type.String(), outputId: Type.String() }),
        response: resultAnswers,
      },
    },
    async (request, reply) => {
      const { jobId, outputId } = request.params;
      const outcome = await outcomeOf(door, request, jobId);
      const { status } = outcome;
      const outputs = [{ id: outputId, transmission: 'value' as const }];
      const job = { ...status.job, response: { form: 'raw' as const, outputs } };
      const wanted = { ...outcome, status: { ...status, job } };
      if (deliveriesOf(wanted).length > 0) return sendResults(reply, wanted);
      const message = `Job ${jobId} has no result '${outputId.slice(0, 100)}'.`;
      throw new PushbroomError('NOT_FOUND', message, { locator: outputId.slice(0, 100) });
    },
  );
};
