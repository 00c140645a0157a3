// ids.js - UUIDs of version 7, and those that stand for an Idempotency-Key and for a body.
'use strict';

const { createHash, randomUUID } = require('node:crypto');

// RFC 9562: 48 bits of milliseconds, the version, and the random rest of a version 4 (whose random bytes Node draws in batches).
function uuid7() {
  const ms = Date.now().toString(16).padStart(12, '0');
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7${randomUUID().slice(15)}`;
}

// The first 128 bits of a SHA-256, as PostgreSQL reads a UUID.
const digestId = (text) => createHash('sha256').update(text).digest('hex').slice(0, 32);

// What a request's Idempotency-Key and body come to; undefined without a key.
function requestKey(request) {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  return { id: digestId(`${request.method}\0${request.url}\0${key}`), fingerprint: digestId(request.rawBody) };
}

module.exports = { uuid7, requestKey };
