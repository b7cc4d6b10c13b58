import type { FastifyReply } from 'fastify';
import { element } from '../xml.ts';
import type { Xml } from '../xml.ts';

const STYLE =
  'body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}dt{font-weight:bold}section{margin-left:1em}';

export interface PageLink {
  readonly href: string;
  readonly text: string;
  /** Said after the link. */
  readonly note?: string;
}

/** Answers with a small HTML page: a heading, a paragraph and a list of links. It runs no script. */
export const sendPage = (
  reply: FastifyReply,
  title: string,
  paragraph: string,
  links: readonly PageLink[],
): FastifyReply =>
  asPage(reply).send(
    htmlPage(title, element('p', {}, paragraph), element('ul', {}, links.map(item))),
  );

/** Says of an answer that it is a page, and that nothing in it may run or be loaded. */
export const asPage = (reply: FastifyReply): FastifyReply =>
  reply
    .headers({
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
      'x-content-type-options': 'nosniff',
    })
    .type('text/html; charset=utf-8');

/** A document of HTML 5, with the title as its heading. */
export const htmlPage = (title: string, ...content: readonly Xml[]): string =>
  `<!doctype html>\n${
    element(
      'html',
      { lang: 'en' },
      element(
        'head',
        {},
        element('meta', { charset: 'utf-8' }),
        element('title', {}, title),
        element('style', {}, STYLE),
      ),
      element('body', {}, element('h1', {}, title), content),
    ).xml
  }\n`;

const item = ({ href, text, note = '' }: PageLink): Xml =>
  element('li', {}, element('a', { href }, text), note && ` ${note}`);
