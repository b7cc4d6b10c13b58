/** How an attempt ended: what YARN says, what its runner says, and what we wanted of it, put together. */
import type { AttemptId, AttemptResult, Failure, Usage } from '../../core/model.ts';
import { isDiskFull, PushbroomError, messageOf } from '../../errors.ts';
import type { AttemptNews } from '../engine.ts';
import { parseEnd, wins } from '../runner-end.ts';
import { excerpt } from './json.ts';
import type { AmEvent, Capability } from './protocol.ts';
import { newsOf } from './states.ts';

export type Ended = Extract<AmEvent, { event: 'ended' }>;

/** Why we have asked for the end of an attempt; without a failure, because the scheduler wished so. */
export interface Wish {
  readonly failure?: Failure;
}

/** @param end of a container that there was */
export function endingOf(attemptId: AttemptId, end: Ended, wish: Wish | undefined): AttemptNews {
  const said = newsOf(end);
  const own = end.end === undefined ? undefined : parseEnd(end.end, attemptId);
  const news = own ? wins({ to: own.to, result: own.result }, said) : said;
  return own && own.to !== 'killed' ? news : withReason(news, wish);
}

/** Whether its runner has left a word of its own. */
export const hasWord = (attemptId: AttemptId, { end }: Ended): boolean =>
  end !== undefined && parseEnd(end, attemptId) !== undefined;

/** Who has ended an attempt where its runner did not live to say how it went. */
export function withReason({ state, result }: AttemptNews, wish: Wish | undefined): AttemptNews {
  if (wish?.failure) return { state: 'lost', result: { ...result, failure: wish.failure } };
  if (wish) {
    const { failure: _, ...rest } = result ?? {};
    return { state: 'killed', result: rest };
  }
  if (state !== 'killed') return { state, ...(result && { result }) };
  const failure = { kind: 'operator', message: 'somebody else has ended the container' } as const;
  return { state: 'lost', result: { failure, ...result } };
}

/** There was never a container. */
export const neverGranted = (wish: Wish | undefined): AttemptNews =>
  withReason(
    {
      state: 'lost',
      result: { failure: { kind: 'capacity', message: 'YARN has not granted a container' } },
    },
    wish,
  );

/** An application is over, and with it what ran in it. */
export function failureOfClosed(state: string, diagnostics: string): Failure {
  const said = excerpt(diagnostics);
  const words = said === '' ? '' : `: ${said}`;
  return state === 'KILLED'
    ? { kind: 'operator', message: `somebody has killed the job's application on YARN${words}` }
    : { kind: 'engine', message: `the job's application on YARN has ended (${state})${words}` };
}

/** What kept an attempt from being asked for. */
export const failureOfPreparation = (error: unknown): Failure => ({
  kind: isDiskFull(error)
    ? 'disk'
    : error instanceof PushbroomError && error.code === 'UNAVAILABLE'
      ? 'network'
      : 'engine',
  message: `the attempt's files cannot be laid out for YARN: ${messageOf(error)}`,
});

const SOURCE = 'yarn-allocation';

/** The runner's figures with those of the container, which are there in any case. */
export function withUsage(
  news: AttemptNews,
  heldMs: number | undefined,
  { vcores, memoryMb }: Capability,
): AttemptNews {
  if (heldMs === undefined) return news;
  const measured: Usage = news.result?.usage ?? { wallMs: heldMs, sources: { wall: SOURCE } };
  const usage: Usage = {
    ...measured,
    reservedCpuMs: Math.round(vcores * heldMs),
    reservedMemoryMbMs: Math.round(memoryMb * heldMs),
    sources: { ...measured.sources, reserved: SOURCE },
  };
  const result: AttemptResult = { ...news.result, usage };
  return { ...news, result };
}

const engineFailure = (message: string): Failure => ({ kind: 'engine', message });

export const GONE = engineFailure('there is no application on YARN in which it could run any more');
export const MISSING = engineFailure(
  'its container has ended while nobody was there to hear it, and its runner has left no word',
);
export const WORDLESS = engineFailure(
  'its runner has ended well, but its report and its outputs are gone',
);
export const NOT_STARTED = engineFailure('its node has taken the container and does not start it');
export const NOT_BEGUN = engineFailure(
  "its node has taken the start and has not begun it: its files do not come; see the NodeManager's log",
);
export const TOO_LONG: Failure = {
  kind: 'time',
  message: 'it is far beyond its limit of time and its runner has not ended it',
};

export const tooLate = (isRequested: boolean, waitMs: number): Failure => ({
  kind: 'capacity',
  message: isRequested
    ? `YARN has granted no container on its node within ${waitMs / 1000} s`
    : `YARN has not admitted the job's application within ${waitMs / 1000} s: see its queue's limits`,
});

/** Its end was not heard of, but its runner had told it. */
export function endFrom(
  { to, result }: NonNullable<ReturnType<typeof parseEnd>>,
  failure: Failure,
  wish: Wish | undefined,
): AttemptNews {
  if (to !== 'killed') return { state: to, result };
  return withReason({ state: 'lost', result: { ...result, failure } }, wish);
}
