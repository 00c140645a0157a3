// webhooks.js - POST /webhooks/{gateway}: verified, and answered 200 once Redis has it on its disk (appendfsync always).
'use strict';

const { createHmac, createSecretKey, timingSafeEqual } = require('node:crypto');
const { Problem, keepRawBody } = require('./problem');

// Whether its effect is committed already, and the append, in one round trip. KEYS: the event's key, the stream.
const APPEND = `
  if redis.call('GET', KEYS[1]) == ARGV[1] then return 'duplicate' end
  redis.call('XADD', KEYS[2], '*', 'source', 'webhook', 'psp', ARGV[2], 'event_id', ARGV[3], 'payment_id', ARGV[1],
             'received_at_us', ARGV[4], 'request_id', ARGV[5], 'headers', ARGV[6], 'body', ARGV[7])
  return 'accepted'`;

const GATEWAYS = new Map([['razorpay', 'Razorpay']]);

const id = { type: 'string', format: 'uuid' };
const SCHEMA = {
  headers: {
    type: 'object',
    required: ['x-razorpay-event-id'],
    properties: { 'x-razorpay-event-id': { type: 'string', minLength: 1, maxLength: 128 } },
  },
  body: {
    type: 'object',
    required: ['event', 'payload'],
    properties: {
      event: { type: 'string' },
      payload: {
        type: 'object',
        required: ['payment'],
        properties: {
          payment: {
            type: 'object',
            required: ['entity'],
            properties: {
              entity: {
                type: 'object',
                required: ['id', 'amount', 'currency', 'status', 'notes'],
                properties: {
                  id: { type: 'string', minLength: 1 },
                  amount: { type: 'integer', minimum: 0 },
                  currency: { type: 'string' },
                  status: { type: 'string' },
                  notes: { type: 'object', required: ['payment_id'], properties: { payment_id: id, order_id: id } },
                },
              },
            },
          },
        },
      },
    },
  },
  response: { 200: { type: 'object', properties: { status: { type: 'string' } } } },
};

module.exports = async function webhooks(app, { redis, secret }) {
  const key = createSecretKey(secret, 'utf8');
  redis.defineCommand('webhookAppend', { numberOfKeys: 2, lua: APPEND });

  keepRawBody(app, (request, bytes) => {
    const expected = createHmac('sha256', key).update(bytes).digest();
    const given = Buffer.from(request.headers['x-razorpay-signature'] ?? '', 'hex');
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw new Problem(401, 'SIGNATURE_INVALID', 'The signature is wrong, missing or stale');
  });

  function knownGateway(request, reply, done) {
    done(GATEWAYS.has(request.params.gateway.toLowerCase()) ? undefined
      : new Problem(404, 'UNKNOWN_GATEWAY', 'No such payment gateway'));
  }

  app.post('/webhooks/:gateway', { schema: SCHEMA, onRequest: knownGateway, bodyLimit: 1024 * 1024 }, async (request) => {
    const psp = GATEWAYS.get(request.params.gateway.toLowerCase());
    const eventId = request.headers['x-razorpay-event-id'];
    const paymentId = request.body.payload.payment.entity.notes.payment_id;
    const { authorization, cookie, 'proxy-authorization': proxyAuthorization, ...headers } = request.headers; // no secrets in the queue
    let status;
    try {
      status = await redis.webhookAppend(`idemp:webhook:${psp}:${eventId}`, 'stream:webhooks', paymentId, psp, eventId,
        Date.now() * 1000, request.id, JSON.stringify(headers), request.rawBody);
    } catch (error) {
      request.log.error(error);
      throw new Problem(503, 'QUEUE_UNAVAILABLE', 'The webhook queue cannot be reached'); // the PSP sends it again
    }
    return { status };
  });
};
