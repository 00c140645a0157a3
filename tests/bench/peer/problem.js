// problem.js - errors as RFC 9457 problem documents with a stable code.
'use strict';

class Problem extends Error {
  constructor(statusCode, code, detail) {
    super(detail);
    Object.assign(this, { statusCode, code });
  }
}

const VALIDATION_CODES = { additionalProperties: 'UNKNOWN_FIELD', required: 'MISSING_FIELD' };

function codeOf(error) {
  if (error instanceof Problem) return error.code;
  if (error.validation) return VALIDATION_CODES[error.validation[0].keyword] ?? 'INVALID_FIELD';
  if (error.statusCode === 413) return 'BODY_TOO_LARGE';
  return error.statusCode < 500 ? 'MALFORMED_REQUEST' : 'INTERNAL';
}

function answerProblems(app) {
  function answer(request, reply, status, code, detail) {
    const problem = { type: 'about:blank', title: detail, status, detail, code, request_id: request.id, error: detail };
    reply.code(status).header('Content-Type', 'application/problem+json').send(JSON.stringify(problem));
  }
  app.setErrorHandler((error, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) request.log.error(error);
    const code = codeOf(error);
    answer(request, reply, status, code, code === 'INTERNAL' ? 'A bug of ours' : error.message);
  });
  app.setNotFoundHandler((request, reply) => answer(request, reply, 404, 'NOT_FOUND', 'No such resource'));
}

// Keeps the bytes of JSON bodies beside what they say: keys and signatures are over bytes. verify(request, bytes) may refuse them.
function keepRawBody(app, verify = () => {}) {
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes, done) => {
    try {
      verify(request, bytes);
      request.rawBody = bytes;
      done(null, parse(bytes));
    } catch (error) {
      done(error);
    }
  });
}

function parse(bytes) {
  try {
    return JSON.parse(bytes);
  } catch {
    throw new Problem(400, 'MALFORMED_JSON', 'The body is not valid JSON');
  }
}

module.exports = { Problem, answerProblems, keepRawBody };
