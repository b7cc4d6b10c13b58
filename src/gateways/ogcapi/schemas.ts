import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { JOB_MOVES } from '../../core/lifecycle.ts';
import type { JobState } from '../../core/model.ts';

/** The messages of OGC API - Processes - Part 1: Core 1.0 (OGC 18-062r2), as far as they are spoken here. */

/** OpenAPI 3.0 has no `patternProperties`, which a TypeBox record is written with. */
const dictionary = <T extends TSchema>(values: T) =>
  Type.Unsafe<Record<string, Static<T>>>({ type: 'object', additionalProperties: values });

const words = <const T extends string[]>(...values: T) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values });

export const Link = Type.Object({
  href: Type.String({ description: 'An absolute URL' }),
  rel: Type.Optional(Type.String()),
  type: Type.Optional(Type.String()),
  title: Type.Optional(Type.String()),
});
export type Link = Static<typeof Link>;

const Links = Type.Array(Link);

export const LandingPage = Type.Object({
  title: Type.String(),
  description: Type.String(),
  links: Links,
});

export const Conformance = Type.Object({ conformsTo: Type.Array(Type.String()) });

const processSummary = {
  id: Type.String(),
  title: Type.String(),
  description: Type.String(),
  version: Type.String(),
  jobControlOptions: Type.Array(words('sync-execute', 'async-execute', 'dismiss')),
  outputTransmission: Type.Array(words('value', 'reference')),
  links: Links,
};

const ProcessSummary = Type.Object(processSummary);
export type ProcessSummary = Static<typeof ProcessSummary>;

export const ProcessList = Type.Object({ processes: Type.Array(ProcessSummary), links: Links });

export const ProcessDescription = Type.Object({
  ...processSummary,
  inputs: dictionary(
    Type.Object({
      title: Type.String(),
      description: Type.String(),
      minOccurs: Type.Integer(),
      maxOccurs: Type.Integer(),
      schema: Type.Unknown({ description: 'A JSON Schema of OpenAPI 3.0' }),
    }),
  ),
  outputs: dictionary(
    Type.Object({
      title: Type.String(),
      description: Type.String(),
      schema: Type.Unknown({ description: 'A JSON Schema of OpenAPI 3.0' }),
    }),
  ),
});
export type ProcessDescription = Static<typeof ProcessDescription>;

const State = Type.Unsafe<JobState>({ type: 'string', enum: Object.keys(JOB_MOVES) });

export const StatusInfo = Type.Object({
  processID: Type.String(),
  type: words('process'),
  jobID: Type.String(),
  status: State,
  message: Type.Optional(Type.String()),
  created: Type.String({ format: 'date-time' }),
  started: Type.Optional(Type.String({ format: 'date-time' })),
  finished: Type.Optional(Type.String({ format: 'date-time' })),
  updated: Type.String({ format: 'date-time' }),
  progress: Type.Integer({ minimum: 0, maximum: 100 }),
  links: Links,
});
export type StatusInfo = Static<typeof StatusInfo>;

export const JobList = Type.Object({ jobs: Type.Array(StatusInfo), links: Links });

const Qualified = Type.Object({
  value: Type.Union([Type.String(), dictionary(Type.Unknown()), Type.Array(Type.Unknown())]),
  mediaType: Type.String(),
  encoding: Type.Optional(words('base64')),
});

const Box = Type.Object({
  bbox: Type.Array(Type.Number(), { minItems: 4, maxItems: 4 }),
  crs: Type.Optional(Type.String()),
});

const Value = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Link, Qualified, Box]);

export const Results = dictionary(Type.Union([...Value.anyOf, Type.Array(Value)]));
export type Results = Static<typeof Results>;

export const Exception = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
});
export type Exception = Static<typeof Exception>;

const Output = Type.Object({
  transmissionMode: Type.Optional(words('value', 'reference')),
  format: Type.Optional(
    Type.Object({
      mediaType: Type.Optional(Type.String()),
      encoding: Type.Optional(Type.String()),
      schema: Type.Optional(Type.Unknown()),
    }),
  ),
});

const uri = Type.String({ maxLength: 2000, description: 'On the public internet' });

const Subscriber = Type.Object({
  successUri: uri,
  inProgressUri: Type.Optional(uri),
  failedUri: Type.Optional(uri),
});
export type Subscriber = Static<typeof Subscriber>;

export const ExecuteBody = Type.Object({
  inputs: Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    additionalProperties: true,
    description:
      'By input id: a value, { "value": ... } with its mediaType and encoding, { "bbox": [...] }, { "href": ... }, or ' +
      'an array of them',
  }),
  outputs: Type.Optional(
    Type.Unsafe<Record<string, Static<typeof Output>>>({
      ...dictionary(Output),
      description: 'By output id; all outputs where there are none',
    }),
  ),
  response: Type.Optional(words('raw', 'document')),
  subscriber: Type.Optional(Subscriber),
});
export type ExecuteBody = Static<typeof ExecuteBody>;

/** Items of a page where the request does not say. */
export const DEFAULT_LIMIT = 100;

const f = Type.Optional(
  Type.Enum(['json', 'html'], { type: 'string', description: 'Overrides the header Accept' }),
);
export const FormatQuery = Type.Object({ f });

const limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: DEFAULT_LIMIT }));

export const ProcessQuery = Type.Object({
  f,
  limit,
  offset: Type.Optional(Type.Integer({ minimum: 0, default: 0 })),
});

/** The standard has a list of one. */
const seconds = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1, maxItems: 1 });

/** With all of it at its longest, a request still fits into what Node takes as a header. */
export const JobListQuery = Type.Object({
  f,
  limit,
  after: Type.Optional(Type.String({ maxLength: 20, description: 'Taken from the link `next`' })),
  status: Type.Optional(Type.Array(State, { maxItems: 5 })),
  processID: Type.Optional(Type.Array(Type.String({ maxLength: 150 }), { maxItems: 5 })),
  type: Type.Optional(Type.Array(Type.String({ maxLength: 20 }), { maxItems: 5 })),
  datetime: Type.Optional(
    Type.String({
      maxLength: 100,
      description:
        'When the job was created: a date-time of RFC 3339, or an interval of two with `/` between them, `..` for an open end',
    }),
  ),
  minDuration: Type.Optional(seconds),
  maxDuration: Type.Optional(seconds),
});
export type JobListQuery = Static<typeof JobListQuery>;
