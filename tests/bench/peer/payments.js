// payments.js - POST /payments/initiate: the payment's row; no PSP is called, its URL is made up.
'use strict';

const { requestKey, uuid7 } = require('./ids');
const { Problem, keepRawBody } = require('./problem');

// A key is taken only for an order that can be paid. No row: it cannot, or a request with this key came before.
const INITIATE = {
  name: 'payment_initiate',
  text: `WITH payable AS (
           SELECT order_id, amount, currency, expires_at FROM orders
            WHERE order_id = $2 AND status = 'PENDING' AND expires_at > now() FOR SHARE
         ), taken AS (
           INSERT INTO idempotency_keys AS k (idempotency_id, fingerprint, resource_id)
           SELECT $5::uuid, $6::uuid, $1::uuid FROM payable WHERE $5::uuid IS NOT NULL
           ON CONFLICT (idempotency_id) DO UPDATE
              SET fingerprint = excluded.fingerprint, resource_id = excluded.resource_id, created_at = now()
            WHERE k.created_at < now() - interval '24 hours'
           RETURNING resource_id)
         INSERT INTO payments (payment_id, order_id, method, amount, currency, psp, checkout_url, expires_at)
         SELECT $1::uuid, o.order_id, $3, o.amount, o.currency, 'Razorpay', $4, o.expires_at FROM payable o
          WHERE $5::uuid IS NULL OR EXISTS (SELECT FROM taken)
         RETURNING payment_id, order_id, psp AS gateway, checkout_url, expires_at, status`,
};
const FIRST = {
  name: 'payment_first',
  text: `SELECT k.fingerprint = $2 AS same, p.payment_id, p.order_id, p.psp AS gateway, p.checkout_url, p.expires_at
           FROM idempotency_keys k JOIN payments p ON p.payment_id = k.resource_id WHERE k.idempotency_id = $1`,
};
const ORDER_STATUS = { name: 'order_status', text: 'SELECT status FROM orders WHERE order_id = $1' };

const text = { type: 'string' };
const SCHEMA = {
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['order_id', 'payment_method'],
    properties: {
      order_id: { type: 'string', format: 'uuid' },
      payment_method: { enum: ['UPI', 'CARD', 'NETBANKING', 'WALLET'] },
      gateway: text,
      return_url: text,
    },
  },
  response: {
    201: {
      type: 'object',
      properties: { payment_id: text, order_id: text, gateway: text, checkout_url: text,
        expires_at: { type: 'string', format: 'date-time' }, status: text },
    },
  },
};

module.exports = async function payments(app, { database }) {
  keepRawBody(app);

  // What was answered first, or why there is nothing to answer with.
  async function firstOrRefuse(key, orderId) {
    const { rows: [payment] } = key ? await database.query(FIRST, [key.id, key.fingerprint]) : { rows: [] };
    if (payment?.same) return { ...payment, status: 'PENDING' };
    if (payment) throw new Problem(422, 'IDEMPOTENCY_KEY_REUSED', 'The Idempotency-Key came with another request before');
    const { rows: [order] } = await database.query(ORDER_STATUS, [orderId]);
    throw order ? new Problem(409, 'ORDER_NOT_PAYABLE', 'The order cannot be paid')
      : new Problem(404, 'ORDER_NOT_FOUND', 'No such order');
  }

  app.post('/payments/initiate', { schema: SCHEMA }, async (request, reply) => {
    const { order_id: orderId, payment_method: method } = request.body;
    const key = requestKey(request);
    const paymentId = uuid7();
    const { rows: [row] } = await database.query(INITIATE, [paymentId, orderId, method, `http://127.0.0.1/checkout/${paymentId}`, key?.id,
      key?.fingerprint]);
    const payment = row ?? await firstOrRefuse(key, orderId);
    if (!row) reply.header('Idempotency-Replayed', 'true');
    return reply.code(201).header('Location', `/payments/${payment.payment_id}`).send(payment);
  });
};
