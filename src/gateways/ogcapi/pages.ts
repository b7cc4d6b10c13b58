import type { FastifyReply, FastifyRequest } from 'fastify';
import { element } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import { asPage, htmlPage } from '../page.ts';
import type { Link } from './schemas.ts';

/**
 * Whether a page is wanted: `f` says so, or the header `Accept` names HTML before JSON, as browsers do. Whoever takes
 * anything gets JSON.
 */
export function wantsPage({ method, headers, query }: FastifyRequest): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  const { f } = query as { readonly f?: unknown };
  if (f !== undefined) return f === 'html';
  const accepted = new Map(
    (headers.accept ?? '').split(',').map((range): [string, number] => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
      const quality = parameters.find((parameter) => parameter.startsWith('q='));
      return [type, quality === undefined ? 1 : Number(quality.slice(2)) || 0];
    }),
  );
  return (accepted.get('text/html') ?? 0) > (accepted.get('application/json') ?? 0);
}

/** Answers with all that the JSON answer would say, as a page (OGC 18-062r2, requirements class HTML). */
export function sendAsPage(request: FastifyRequest, reply: FastifyReply, answer: object): void {
  const { summary } = request.routeOptions.schema ?? {};
  const { title = summary ?? 'Not found' } = answer as { readonly title?: string };
  asPage(reply).serializer(() => htmlPage(title, block(answer)));
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;

function block(value: unknown): Xml {
  if (Array.isArray(value)) return list(value);
  if (isLink(value)) return anchor(value);
  if (!isObject(value)) return element('code', {}, String(value) || '""');
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  if (members.length === 0) return element('p', {}, 'Nothing.');
  return element(
    'dl',
    {},
    members.map(([name, member]) => [
      element('dt', {}, name),
      element('dd', {}, name === 'schema' ? json(member) : block(member)),
    ]),
  );
}

function list(values: readonly unknown[]): Xml {
  if (values.length === 0) return element('p', {}, 'None.');
  return element(
    'ul',
    {},
    values.map((value) => element('li', {}, block(value))),
  );
}

const isLink = (value: unknown): value is Link =>
  isObject(value) && typeof value['href'] === 'string';

/** What a URL leads to must not be able to run here, whatever it is. */
function anchor({ href, title = href, rel, type }: Link): Xml {
  const note = [rel, type].filter((each) => each !== undefined).join(', ');
  const isSafe = /^https?:\/\//.test(href);
  const link = isSafe ? element('a', { href }, title) : element('code', {}, href);
  return element('span', {}, link, note && ` (${note})`);
}

const json = (value: unknown): Xml => element('pre', {}, JSON.stringify(value, undefined, 2));
