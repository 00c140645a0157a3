// server.js - the peer: orders with idempotency keys in PostgreSQL, signed webhooks into a Redis stream. See README.md.
'use strict';

const cluster = require('node:cluster');
const { createHash, createHmac, randomBytes, timingSafeEqual } = require('node:crypto');

const env = (name, fallback) => process.env[name] ?? fallback;
const WORKERS = Number(env('WORKERS', '1'));

// RFC 9562, version 7.
function uuid7() {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

// One statement and one commit for key and order. No row: the key is there already.
const CREATE = {
  name: 'create',
  text: `WITH k AS (INSERT INTO idempotency_keys (key, fingerprint, order_id) VALUES ($1, $2, $3)
                    ON CONFLICT (key) DO NOTHING RETURNING order_id)
         INSERT INTO orders (order_id, user_id, amount, currency, expires_at)
         SELECT k.order_id, $4, $5, $6, now() + interval '15 minutes' FROM k
         RETURNING order_id, status, user_id, amount, currency, created_at, expires_at`,
};
const CREATE_WITHOUT_KEY = {
  name: 'create_without_key',
  text: `INSERT INTO orders (order_id, user_id, amount, currency, expires_at)
         VALUES ($1, $2, $3, $4, now() + interval '15 minutes')
         RETURNING order_id, status, user_id, amount, currency, created_at, expires_at`,
};
const KNOWN = {
  name: 'known',
  text: `SELECT k.fingerprint, o.order_id, o.status, o.user_id, o.amount, o.currency, o.created_at, o.expires_at
           FROM idempotency_keys k JOIN orders o USING (order_id) WHERE k.key = $1`,
};
const READ = {
  name: 'read',
  text: 'SELECT order_id, status, user_id, amount, currency, paid_amount, created_at, expires_at FROM orders WHERE order_id = $1',
};

const order = {
  type: 'object',
  properties: {
    order_id: { type: 'string' }, status: { type: 'string' }, user_id: { type: 'string' }, amount: { type: 'integer' },
    currency: { type: 'string' }, paid_amount: { type: 'integer' }, created_at: { type: 'string' }, expires_at: { type: 'string' },
  },
};

async function serve() {
  const { Pool, types } = require('pg');
  const Redis = require('ioredis');
  types.setTypeParser(types.builtins.INT8, Number);
  const pool = new Pool({ connectionString: env('DATABASE_URL'), max: Number(env('POOL_SIZE', '16')) });
  const redis = new Redis(env('REDIS_URL'), { enableAutoPipelining: true });
  const secret = env('WEBHOOK_SECRET');
  const app = require('fastify')({ logger: { level: 'warn' }, keepAliveTimeout: 5000, genReqId: uuid7, requestIdHeader: 'x-request-id' });

  app.addHook('onRequest', async (request, reply) => { reply.header('x-request-id', request.id); });

  app.post('/orders', {
    schema: {
      body: {
        type: 'object', additionalProperties: false, required: ['user_id', 'amount', 'currency'],
        properties: {
          user_id: { type: 'string', minLength: 1, maxLength: 128 }, amount: { type: 'integer', minimum: 1 },
          currency: { type: 'string', pattern: '^[A-Z]{3}$' },
        },
      },
      response: { 201: order },
    },
  }, async (request, reply) => {
    const { user_id: user, amount, currency } = request.body;
    const key = request.headers['idempotency-key'];
    const id = uuid7();
    let row;
    if (key === undefined) {
      row = (await pool.query(CREATE_WITHOUT_KEY, [id, user, amount, currency])).rows[0];
    } else {
      const scoped = `POST /orders ${key}`;
      const fingerprint = createHash('sha256').update(JSON.stringify(request.body)).digest();
      row = (await pool.query(CREATE, [scoped, fingerprint, id, user, amount, currency])).rows[0];
      if (row === undefined) {
        row = (await pool.query(KNOWN, [scoped])).rows[0];
        if (!row.fingerprint.equals(fingerprint)) return reply.code(422).send({ error: 'the key came with another body before' });
        reply.header('idempotency-replayed', 'true');
      }
    }
    return reply.code(201).header('location', `/orders/${row.order_id}`).send(row);
  });

  app.get('/orders/:id', { schema: { response: { 200: order } } }, async (request, reply) => {
    const row = (await pool.query(READ, [request.params.id])).rows[0];
    return row ?? reply.code(404).send({ error: 'there is no such order' });
  });

  app.register(async (webhooks) => {
    webhooks.removeAllContentTypeParsers();
    webhooks.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => done(null, body));
    webhooks.post('/webhooks/:gateway', async (request, reply) => {
      const given = Buffer.from(String(request.headers['x-razorpay-signature'] ?? ''), 'hex');
      const right = createHmac('sha256', secret).update(request.body).digest();
      if (given.length !== right.length || !timingSafeEqual(given, right)) return reply.code(401).send({ error: 'signature' });
      const event = request.headers['x-razorpay-event-id'];
      let body;
      try {
        body = JSON.parse(request.body);
      } catch {
        return reply.code(400).send({ error: 'not JSON' });
      }
      const payment = body.payload?.payment?.entity?.notes?.payment_id;
      if (!event || !payment) return reply.code(400).send({ error: 'no event id or no payment' });
      const seen = redis.get(`idemp:webhook:Razorpay:${event}`);
      const appended = seen.then((value) => (value === payment ? null : redis.xadd('stream:webhooks', '*', 'psp', 'Razorpay',
        'event_id', event, 'payment_id', payment, 'received_at_ms', Date.now(), 'request_id', request.id, 'body', request.body)));
      return { status: (await appended) === null ? 'duplicate' : 'accepted' };
    });
  });

  await app.listen({ host: '127.0.0.1', port: Number(env('PORT')) });
  console.log('listening');
}

if (WORKERS > 1 && cluster.isPrimary) {
  for (let n = 0; n < WORKERS; n++) cluster.fork();
} else {
  serve().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
