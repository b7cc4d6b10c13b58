import type { FastifyReply } from 'fastify';
import { element } from '../xml.ts';
import type { Xml } from '../xml.ts';

const STYLE = 'body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}';

export interface PageLink {
  readonly href: string;
  readonly text: string;
  /** Said after the link. */
  readonly note?: string;
}

/** Answers with a small HTML page: a heading, a paragraph and a list of links. It runs no script. */
export function sendPage(
  reply: FastifyReply,
  title: string,
  paragraph: string,
  links: readonly PageLink[],
): FastifyReply {
  const page = element(
    'html',
    { lang: 'en' },
    element(
      'head',
      {},
      element('meta', { charset: 'utf-8' }),
      element('title', {}, title),
      element('style', {}, STYLE),
    ),
    element(
      'body',
      {},
      element('h1', {}, title),
      element('p', {}, paragraph),
      element('ul', {}, links.map(item)),
    ),
  );
  return reply
    .headers({
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
      'x-content-type-options': 'nosniff',
    })
    .type('text/html; charset=utf-8')
    .send(`<!doctype html>\n${page.xml}\n`);
}

const item = ({ href, text, note = '' }: PageLink): Xml =>
  element('li', {}, element('a', { href }, text), note && ` ${note}`);
