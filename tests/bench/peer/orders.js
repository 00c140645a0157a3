// orders.js - POST /orders, GET /orders/{id}.
'use strict';

const { requestKey, uuid7 } = require('./ids');
const { Problem, keepRawBody } = require('./problem');

const ORDER_TTL_S = 900;

// A key is taken in the statement of its effect. No row: a request with this key came before, within 24 hours.
const CREATE_WITH_KEY = {
  name: 'order_create_with_key',
  text: `WITH taken AS (
           INSERT INTO idempotency_keys AS k (idempotency_id, fingerprint, resource_id) VALUES ($9, $10, $1)
           ON CONFLICT (idempotency_id) DO UPDATE
              SET fingerprint = excluded.fingerprint, resource_id = excluded.resource_id, created_at = now()
            WHERE k.created_at < now() - interval '24 hours'
           RETURNING resource_id)
         INSERT INTO orders (order_id, user_id, amount, currency, receipt, metadata, customer, expires_at)
         SELECT t.resource_id, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8) FROM taken t
         RETURNING created_at, expires_at`,
};
const CREATE = {
  name: 'order_create',
  text: `INSERT INTO orders (order_id, user_id, amount, currency, receipt, metadata, customer, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))
         RETURNING created_at, expires_at`,
};
const FIRST = {
  name: 'order_first',
  text: `SELECT k.fingerprint = $2 AS same, o.order_id, o.user_id, o.amount, o.currency, o.created_at, o.expires_at
           FROM idempotency_keys k JOIN orders o ON o.order_id = k.resource_id WHERE k.idempotency_id = $1`,
};
const READ = {
  name: 'order_read',
  text: `SELECT o.order_id, o.status, o.user_id, o.amount, o.currency, o.paid_amount, o.refunded_amount, o.receipt, o.metadata,
                o.created_at, o.expires_at,
                (SELECT coalesce(json_agg(p ORDER BY p.payment_id DESC), '[]'::json) FROM (
                     SELECT payment_id, psp AS gateway, method, status, amount, currency, captured_amount, created_at
                       FROM payments WHERE order_id = o.order_id ORDER BY payment_id DESC LIMIT 50) p) AS payments
           FROM orders o WHERE o.order_id = $1`,
};

const text = { type: 'string' };
const amount = { type: 'integer' };
const time = { type: 'string', format: 'date-time' };
const created = { order_id: text, status: text, user_id: text, amount, currency: text, created_at: time, expires_at: time };
const SCHEMA_CREATE = {
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['user_id', 'amount', 'currency'],
    properties: {
      user_id: { type: 'string', minLength: 1, maxLength: 128, pattern: '^[^\\u0000-\\u001f\\u007f]*$' },
      amount: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
      currency: { type: 'string', pattern: '^[A-Z]{3}$' },
      receipt: { type: 'string', minLength: 1, maxLength: 128 },
      metadata: { type: 'object' },
      expires_in_s: { type: 'integer', minimum: 1 },
      customer: { type: 'object', additionalProperties: false, properties: { name: text, email: text, phone: text } },
    },
  },
  response: { 201: { type: 'object', properties: created } },
};
const SCHEMA_READ = {
  params: { type: 'object', properties: { id: { type: 'string', format: 'uuid' } } },
  response: {
    200: {
      type: 'object',
      properties: {
        ...created, paid_amount: amount, refunded_amount: amount, receipt: { type: ['string', 'null'] },
        metadata: { type: ['object', 'null'], additionalProperties: true },
        payments: {
          type: 'array',
          items: {
            type: 'object',
            properties: { payment_id: text, gateway: text, method: text, status: text, amount, currency: text, captured_amount: amount,
              created_at: text },
          },
        },
      },
    },
  },
};

module.exports = async function orders(app, { database }) {
  keepRawBody(app);

  async function first(key) {
    const { rows: [order] } = await database.query(FIRST, [key.id, key.fingerprint]);
    if (!order.same) throw new Problem(422, 'IDEMPOTENCY_KEY_REUSED', 'The Idempotency-Key came with another request before');
    return order;
  }

  app.post('/orders', { schema: SCHEMA_CREATE }, async (request, reply) => {
    const body = request.body;
    const key = requestKey(request);
    const orderId = uuid7();
    const values = [orderId, body.user_id, body.amount, body.currency, body.receipt, body.metadata, body.customer,
      body.expires_in_s ?? ORDER_TTL_S];
    const { rows: [row] } = key ? await database.query(CREATE_WITH_KEY, [...values, key.id, key.fingerprint])
      : await database.query(CREATE, values);
    let order;
    if (row) {
      order = { order_id: orderId, user_id: body.user_id, amount: body.amount, currency: body.currency, ...row };
    } else {
      order = await first(key);
      reply.header('Idempotency-Replayed', 'true');
    }
    order.status = 'PENDING'; // as it was answered first
    return reply.code(201).header('Location', `/orders/${order.order_id}`).send(order);
  });

  app.get('/orders/:id', { schema: SCHEMA_READ }, async (request) => {
    const { rows: [order] } = await database.query(READ, [request.params.id]);
    if (!order) throw new Problem(404, 'ORDER_NOT_FOUND', 'No such order');
    return order;
  });
};
