// The PSPs' own libraries, as they are published, against the simulator: a payment from its opening to its refund, what is refused, and
// the webhooks as each library verifies them. Started by deploy/local.sh sdk.
//
//   SIMULATOR=<binary> node --test contract.mjs
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import http from "node:http";
import net from "node:net";
import { createRequire } from "node:module";
import test, { after, before } from "node:test";

const require = createRequire(import.meta.url);
const SECRET = "dev-secret";
const AMOUNT = 45000; // paise
const PART = 100;
const NOTES = { shop: "Chai & Söhne", table: "7", "two words": '"quoted", {braced} = 100 %' }; // what a caller hangs onto its objects: metadata, notes, tags
const OTHER_NOTES = { why: "too cold" };

let simulator, listener, port;
const webhooks = []; // as they came: { path, headers, body }

function free_port() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const free = server.address().port;
      server.close(() => resolve(free));
    });
  });
}

// What was sent to the simulator's own address, no library between.
function ask(method, path, { host, body, type = "application/json" } = {}) {
  return new Promise((resolve, reject) => {
    const headers = { ...(host && { Host: host }), ...(body !== undefined && { "Content-Type": type, "Content-Length": Buffer.byteLength(body) }) };
    const sent = http.request({ method, path, headers, host: "127.0.0.1", port }, async (answer) => {
      const parts = await answer.toArray();
      resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts).toString() });
    });
    sent.on("error", reject).end(body);
  });
}

async function pay(payment_id) {
  const answer = await ask("POST", `/_sim/payments/${payment_id}/pay`, { body: "{}" });
  assert.ok(answer.status < 300, `${answer.status} ${answer.body}`);
}

// The first webhook of the PSP that is about this, at the latest in ten seconds.
async function webhook_about(psp, words) {
  const is_it = (each) => each.path.toLowerCase().endsWith(psp) && [words].flat().every((word) => each.body.includes(word));
  for (let deadline = Date.now() + 10_000; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const found = webhooks.find(is_it);
    if (found) return found;
  }
  throw new Error(`no webhook of ${psp} about ${words}: ${webhooks.map((each) => `${each.path} ${each.body.slice(0, 300)}`).join("\n")}`);
}

async function refused(call) {
  try {
    const answer = await call();
    assert.fail(`it was not refused: ${JSON.stringify(answer)?.slice(0, 200)}`);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return error;
  }
}

before(async () => {
  listener = http.createServer(async (request, response) => {
    webhooks.push({ path: request.url, headers: request.headers, body: Buffer.concat(await request.toArray()).toString() });
    response.end("{}");
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  port = Number(process.env.SIMULATOR_PORT);
  simulator = spawn(process.env.SIMULATOR, [], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, PSP_SIM_ADDR: `127.0.0.1:${port}`, PSP_SIM_WEBHOOK_URL: `http://127.0.0.1:${listener.address().port}`, LOG_LEVEL: "error" },
  });
  for (let tries = 0; tries < 200; tries++) {
    try {
      await ask("GET", "/_sim/book");
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error("the simulator did not start");
});

after(async () => {
  const ended = new Promise((resolve) => simulator.once("exit", resolve));
  simulator.kill("SIGTERM");
  await ended;
  listener.close();
});

test("Razorpay", async () => {
  const Razorpay = require("razorpay");
  const client = new Razorpay({ key_id: "rzp_test_key", key_secret: SECRET });
  const id = randomUUID();
  const link = await client.paymentLink.create({ amount: AMOUNT, currency: "INR", reference_id: id, description: "Tea", notes: NOTES });
  assert.match(link.id, /^plink_/);
  assert.deepEqual(link.notes, NOTES);
  assert.equal(link.status, "created");
  const taken = await refused(() => client.paymentLink.create({ amount: AMOUNT, currency: "INR", reference_id: id, description: "Tea" }));
  assert.deepEqual([taken.statusCode, taken.error.code], [400, "BAD_REQUEST_ERROR"]);
  const nameless = { amount: AMOUNT, currency: "INR", description: "Tea" };
  assert.notEqual((await client.paymentLink.create(nameless)).id, (await client.paymentLink.create(nameless)).id);
  await pay(id);
  const paid = await client.paymentLink.fetch(link.id);
  assert.equal(paid.status, "paid");
  assert.equal(paid.amount_paid, AMOUNT);
  const payment = await client.payments.fetch(paid.payments[0].payment_id);
  assert.deepEqual([payment.status, payment.amount, payment.currency, payment.captured], ["captured", AMOUNT, "INR", true]);
  for (const echoed of [paid, payment, (await client.paymentLink.all({ reference_id: id })).payment_links[0]]) assert.deepEqual(echoed.notes, NOTES);
  const refund = await client.payments.refund(payment.id, { amount: PART, receipt: randomUUID(), notes: OTHER_NOTES });
  assert.match(refund.id, /^rfnd_/);
  assert.equal(refund.amount, PART);
  const refunds = await client.payments.fetchMultipleRefund(payment.id);
  const refunded = await webhook_about("razorpay", ["refund.processed", refund.id]);
  for (const echoed of [refund, await client.refunds.fetch(refund.id), refunds.items[0], JSON.parse(refunded.body).payload.refund.entity])
    assert.deepEqual([echoed.id, echoed.notes], [refund.id, OTHER_NOTES]);
  assert.notEqual((await client.payments.refund(payment.id, { amount: PART })).id, (await client.payments.refund(payment.id, { amount: PART })).id);
  const error = await refused(() => client.payments.refund(payment.id, { amount: AMOUNT, receipt: randomUUID() }));
  assert.equal(error.statusCode, 400);
  assert.equal(error.error.code, "BAD_REQUEST_ERROR");
  const webhook = await webhook_about("razorpay", ["payment.captured", payment.id]);
  assert.deepEqual(JSON.parse(webhook.body).payload.payment.entity.notes, NOTES);
  assert.ok(Razorpay.validateWebhookSignature(webhook.body, webhook.headers["x-razorpay-signature"], SECRET));
  assert.ok(!Razorpay.validateWebhookSignature(`${webhook.body} `, webhook.headers["x-razorpay-signature"], SECRET));
});

// A receipt may repeat: each order is another one, paid and given back by itself. A link is alone with its reference_id.
test("Razorpay's orders", async () => {
  const Razorpay = require("razorpay");
  const client = new Razorpay({ key_id: "rzp_test_key", key_secret: SECRET });
  const receipt = randomUUID();
  const orders = [];
  for (const amount of [AMOUNT, AMOUNT, 2 * AMOUNT]) orders.push(await client.orders.create({ amount, currency: "INR", receipt, notes: { ...NOTES, amount: `${amount}` } }));
  assert.equal(new Set(orders.map((order) => order.id)).size, 3);
  const link = await client.paymentLink.create({ amount: AMOUNT, currency: "INR", reference_id: receipt, description: "Tea" });
  assert.deepEqual((await client.paymentLink.all({ reference_id: receipt })).payment_links.map((each) => each.id), [link.id]);
  for (const order of orders) {
    const notes = { ...NOTES, amount: `${order.amount}` };
    assert.deepEqual([order.receipt, order.status, order.notes], [receipt, "created", notes]);
    await pay(order.id);
    const [payment] = (await client.orders.fetchPayments(order.id)).items;
    assert.deepEqual([payment.order_id, payment.amount, payment.status, payment.notes], [order.id, order.amount, "captured", notes]);
    assert.equal((await client.payments.refund(payment.id, { amount: order.amount })).payment_id, payment.id);
    const fetched = await client.orders.fetch(order.id);
    assert.deepEqual([fetched.status, fetched.notes], ["paid", notes]);
    const { body } = await webhook_about("razorpay", ["payment.captured", payment.id]);
    const told = JSON.parse(body).payload.payment.entity;
    assert.deepEqual([told.order_id, told.notes], [order.id, notes]);
  }
  assert.equal((await client.paymentLink.fetch(link.id)).status, "created");
  const bare = await client.orders.create({ amount: AMOUNT, currency: "INR" });
  assert.deepEqual([bare.receipt, bare.notes], [null, []]); // no notes are an empty list
  const wordy = { amount: AMOUNT, currency: "INR", notes: { why: "x".repeat(257) } };
  assert.equal((await refused(() => client.orders.create(wordy))).statusCode, 400);
});

test("Stripe", async () => {
  const { default: Stripe } = await import("stripe");
  const client = new Stripe(`sk_test_${SECRET}`, { maxNetworkRetries: 0, telemetry: false });
  const id = randomUUID();
  const wanted = {
    mode: "payment", client_reference_id: id, success_url: "https://shop.example/thanks", metadata: { ...NOTES, payment_id: id },
    payment_intent_data: { metadata: { ...OTHER_NOTES, payment_id: id } },
    line_items: [{ quantity: 1, price_data: { currency: "inr", unit_amount: AMOUNT, product_data: { name: "Tea & more" } } }],
  };
  const key = { idempotencyKey: randomUUID() };
  const session = await client.checkout.sessions.create(wanted, key);
  assert.match(session.id, /^cs_/);
  assert.deepEqual(session.metadata, wanted.metadata);
  assert.equal((await client.checkout.sessions.create(wanted, key)).id, session.id);
  const other = await refused(() => client.checkout.sessions.create({ ...wanted, success_url: "https://shop.example/other" }, key));
  assert.equal(other.type, "StripeIdempotencyError");
  for (const others of [{ metadata: NOTES }, { client_reference_id: randomUUID() }])
    assert.equal((await refused(() => client.checkout.sessions.create({ ...wanted, ...others }, key))).type, "StripeIdempotencyError");
  assert.notEqual((await client.checkout.sessions.create(wanted)).id, session.id); // the library gives it a key of its own
  await pay(session.id);
  const paid = await client.checkout.sessions.retrieve(session.id);
  assert.deepEqual([paid.status, paid.payment_status, paid.amount_total], ["complete", "paid", AMOUNT]);
  const intent = await client.paymentIntents.retrieve(paid.payment_intent);
  assert.deepEqual([intent.status, intent.amount_received], ["succeeded", AMOUNT]);
  assert.deepEqual([paid.metadata, intent.metadata], [wanted.metadata, wanted.payment_intent_data.metadata]); // each has its own
  const refund = await client.refunds.create({ payment_intent: intent.id, amount: PART }, { idempotencyKey: randomUUID() });
  assert.equal((await client.refunds.retrieve(refund.id)).amount, PART);
  const keyless = async () => JSON.parse((await ask("POST", "/v1/refunds", { host: "api.stripe.com", type: "application/x-www-form-urlencoded", // the library adds a key
    body: `payment_intent=${intent.id}&amount=${PART}` })).body);
  const first = await keyless();
  assert.match(first.id, /^re_/);
  assert.notEqual((await keyless()).id, first.id);
  const error = await refused(() => client.refunds.create({ payment_intent: intent.id, amount: AMOUNT }, { idempotencyKey: randomUUID() }));
  assert.equal(error.type, "StripeInvalidRequestError");
  const webhook = await webhook_about("stripe", ["payment_intent.succeeded", intent.id]);
  assert.equal(client.webhooks.constructEvent(webhook.body, webhook.headers["stripe-signature"], SECRET).data.object.id, intent.id);
  assert.deepEqual(JSON.parse(webhook.body).data.object.metadata, intent.metadata);
  assert.throws(() => client.webhooks.constructEvent(`${webhook.body} `, webhook.headers["stripe-signature"], SECRET));
});

// An intent has one name from its creation on, however it is paid; a key alone is what a repeated request is known by.
test("Stripe's PaymentIntents", async () => {
  const { default: Stripe } = await import("stripe");
  const client = new Stripe(`sk_test_${SECRET}`, { maxNetworkRetries: 0, telemetry: false });
  const wanted = { amount: AMOUNT, currency: "inr", payment_method_types: ["card"], metadata: NOTES };
  const key = () => ({ idempotencyKey: randomUUID() });
  const first_key = key();
  const intent = await client.paymentIntents.create(wanted, first_key);
  assert.match(intent.id, /^pi_/);
  assert.equal((await client.paymentIntents.create(wanted, first_key)).id, intent.id);
  assert.notEqual((await client.paymentIntents.create(wanted, key())).id, intent.id);
  assert.equal((await refused(() => client.paymentIntents.create({ ...wanted, amount: 1 }, first_key))).type, "StripeIdempotencyError");
  const is_it = (other, status) => assert.deepEqual([other.id, other.status, other.metadata], [intent.id, status, NOTES]);
  is_it(intent, "requires_payment_method");
  is_it(await client.paymentIntents.retrieve(intent.id), "requires_payment_method");
  const declined = await refused(() => client.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa_chargeDeclined" }));
  assert.deepEqual([declined.type, declined.statusCode, declined.code], ["StripeCardError", 402, "card_declined"]);
  is_it(declined.payment_intent, "requires_payment_method");
  is_it(JSON.parse((await webhook_about("stripe", ["payment_intent.payment_failed", intent.id])).body).data.object, "requires_payment_method");
  is_it(await client.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa" }), "succeeded");
  const paid = await client.paymentIntents.retrieve(intent.id);
  is_it(paid, "succeeded");
  const webhook = await webhook_about("stripe", ["payment_intent.succeeded", intent.id]);
  is_it(client.webhooks.constructEvent(webhook.body, webhook.headers["stripe-signature"], SECRET).data.object, "succeeded");
  assert.equal((await refused(() => client.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa" }))).statusCode, 400);

  const refund_key = key();
  const part = { payment_intent: intent.id, amount: PART, metadata: { ...OTHER_NOTES, refund_id: randomUUID() } };
  const refund = await client.refunds.create(part, refund_key);
  const refunded = await webhook_about("stripe", ["refund.updated", refund.id]);
  for (const echoed of [refund, await client.refunds.retrieve(refund.id), JSON.parse(refunded.body).data.object])
    assert.deepEqual([echoed.id, echoed.payment_intent, echoed.metadata], [refund.id, intent.id, part.metadata]);
  assert.equal((await client.refunds.create(part, refund_key)).id, refund.id);
  assert.notEqual((await client.refunds.create(part, key())).id, refund.id); // the same metadata
  assert.equal((await refused(() => client.refunds.create({ ...part, amount: 2 * PART }, refund_key))).type, "StripeIdempotencyError");
  assert.equal((await client.refunds.list({ payment_intent: intent.id })).data.length, 2);
  assert.equal((await client.refunds.create({ charge: paid.latest_charge, amount: PART }, key())).payment_intent, intent.id);
  assert.equal((await refused(() => client.refunds.create({ payment_intent: "pi_3nobody" }, key()))).statusCode, 404);

  const held = await client.paymentIntents.create({ ...wanted, capture_method: "manual", confirm: true, payment_method: "pm_card_visa" }, key());
  assert.deepEqual([held.status, held.amount_capturable], ["requires_capture", AMOUNT]);
  const wordy = await refused(() => client.paymentIntents.create({ ...wanted, metadata: { why: "x".repeat(501) } }, key()));
  assert.equal(wordy.type, "StripeInvalidRequestError");
  assert.deepEqual((await client.paymentIntents.create({ amount: AMOUNT, currency: "inr" }, key())).metadata, {});
  const captured = await client.paymentIntents.capture(held.id, { amount_to_capture: AMOUNT - PART });
  assert.deepEqual([captured.id, captured.status, captured.amount_received], [held.id, "succeeded", AMOUNT - PART]);
  await webhook_about("stripe", ["payment_intent.amount_capturable_updated", held.id]);
  await webhook_about("stripe", ["payment_intent.succeeded", held.id]);
});

test("Cashfree", async () => {
  const { Cashfree } = require("cashfree-pg");
  const client = new Cashfree(Cashfree.SANDBOX, "cf_test_key", SECRET, undefined, undefined, undefined, false);
  const id = randomUUID();
  const wanted = { order_id: id, order_amount: AMOUNT / 100, order_currency: "INR", customer_details: { customer_id: "asha", customer_phone: "9876543210" },
    order_expiry_time: new Date(Date.now() + 3600_000).toISOString(), order_tags: NOTES };
  const key = randomUUID();
  const order = (await client.PGCreateOrder(wanted, undefined, key)).data;
  assert.equal((await client.PGCreateOrder(wanted, undefined, key)).data.cf_order_id, order.cf_order_id);
  for (const another of [undefined, randomUUID()]) {
    const taken = await refused(() => client.PGCreateOrder(wanted, undefined, another));
    assert.deepEqual([taken.response.status, taken.response.data.code], [409, "order_already_exists"]);
  }
  assert.equal(order.order_status, "ACTIVE");
  assert.ok(order.payment_session_id);
  await pay(id);
  const paid = (await client.PGFetchOrder(id)).data;
  assert.deepEqual([paid.order_status, paid.order_tags, order.order_tags], ["PAID", NOTES, NOTES]);
  const [payment] = (await client.PGOrderFetchPayments(id)).data;
  assert.deepEqual([payment.payment_status, payment.payment_amount], ["SUCCESS", AMOUNT / 100]);
  const refund_id = randomUUID();
  await client.PGOrderCreateRefund(id, { refund_amount: PART / 100, refund_id });
  assert.equal((await client.PGOrderFetchRefund(id, refund_id)).data.refund_amount, PART / 100);
  const error = await refused(() => client.PGOrderCreateRefund(id, { refund_amount: AMOUNT / 100, refund_id: randomUUID() }));
  assert.ok(error.response.status >= 400 && error.response.status < 500);
  const { body, headers } = await webhook_about("cashfree", ["PAYMENT_SUCCESS_WEBHOOK", id]);
  assert.deepEqual(JSON.parse(body).data.order.order_tags, NOTES);
  assert.ok(client.PGVerifyWebhookSignature(headers["x-webhook-signature"], body, headers["x-webhook-timestamp"]));
  assert.throws(() => client.PGVerifyWebhookSignature(headers["x-webhook-signature"], `${body} `, headers["x-webhook-timestamp"]));
});

test("PhonePe", async () => {
  const { StandardCheckoutClient, StandardCheckoutPayRequest, RefundRequest, MetaInfo, Env } = require("@phonepe-pg/pg-sdk-node");
  const client = StandardCheckoutClient.getInstance("pp_test_key", SECRET, 1, Env.SANDBOX, false);
  const id = randomUUID();
  const udfs = { udf1: NOTES.shop, udf2: "two", udf5: "five" };
  const meta = MetaInfo.builder().udf1(udfs.udf1).udf2(udfs.udf2).udf5(udfs.udf5).build();
  const begun = await client.pay(StandardCheckoutPayRequest.builder().merchantOrderId(id).amount(AMOUNT).redirectUrl("https://shop.example/thanks")
    .metaInfo(meta).build());
  assert.equal(begun.state, "PENDING");
  await pay(id);
  const paid = await client.getOrderStatus(id, true);
  assert.deepEqual([paid.state, paid.amount, paid.paymentDetails.length > 0], ["COMPLETED", AMOUNT, true]);
  assert.deepEqual({ ...paid.metaInfo }, udfs);
  const refund_id = randomUUID();
  const refund_of = (refund, amount) => RefundRequest.builder().merchantRefundId(refund).originalMerchantOrderId(id).amount(amount).build();
  assert.equal((await client.refund(refund_of(refund_id, PART))).amount, PART);
  assert.equal((await client.getRefundStatus(refund_id)).amount, PART);
  const error = await refused(() => client.refund(refund_of(randomUUID(), AMOUNT)));
  assert.equal(error.type, "BadRequest");
  const { body, headers } = await webhook_about("phonepe", ["checkout.order.completed", id]);
  assert.deepEqual(JSON.parse(body).payload.metaInfo, udfs);
  assert.equal(client.validateCallback("tiffin", SECRET, headers.authorization, body).payload.merchantOrderId, id);
  assert.throws(() => client.validateCallback("tiffin", "another", headers.authorization, body));
});

test("Adyen", async () => {
  const { Client, CheckoutAPI, EnvironmentEnum, hmacValidator: HmacValidator } = require("@adyen/api-library");
  const client = new CheckoutAPI(new Client({ apiKey: SECRET, environment: EnvironmentEnum.TEST }));
  const id = randomUUID();
  const session = await client.PaymentsApi.sessions({ merchantAccount: "TiffinDev", amount: { currency: "INR", value: AMOUNT }, reference: id,
    returnUrl: "https://shop.example/thanks", countryCode: "IN", metadata: OTHER_NOTES }, { idempotencyKey: randomUUID() });
  assert.ok(session.id && session.sessionData);
  assert.deepEqual(session.metadata, OTHER_NOTES);
  await pay(id);
  const { body } = await webhook_about("adyen", ["AUTHORISATION", id]);
  const [{ NotificationRequestItem: item }] = JSON.parse(body).notificationItems;
  assert.deepEqual([item.success, item.merchantReference, item.amount], ["true", id, { currency: "INR", value: AMOUNT }]);
  assert.equal(item.additionalData["metadata.why"], OTHER_NOTES.why);
  const key = Buffer.from(SECRET).toString("hex");
  const validator = new HmacValidator();
  assert.ok(validator.validateHMAC(item, key));
  assert.ok(!validator.validateHMAC({ ...item, amount: { currency: "INR", value: AMOUNT + 1 } }, key));
  const refund = (reference, options) => client.ModificationsApi.refundCapturedPayment(item.pspReference,
    { merchantAccount: "TiffinDev", amount: { currency: "INR", value: PART }, reference }, options);
  const keyed = { idempotencyKey: randomUUID() };
  const begun = await refund("one", keyed);
  assert.equal(begun.status, "received");
  assert.equal((await refund("one", keyed)).pspReference, begun.pspReference);
  assert.notEqual((await refund("one")).pspReference, begun.pspReference);
});

test("PayU", async () => {
  const PayU = require("payu-websdk");
  const client = new PayU({ key: "payu_test_key", salt: SECRET }, "TEST");
  const txnid = randomUUID().replaceAll("-", "").slice(0, 24);
  const page = String(client.paymentInitiate({ txnid, amount: (AMOUNT / 100).toFixed(2), productinfo: "Tea", firstname: "Asha", email: "asha@example.com",
    phone: "9876543210", surl: "https://shop.example/thanks", furl: "https://shop.example/sorry", udf1: "one", udf3: "three & a half" }));
  const fields = new URLSearchParams([...page.matchAll(/name="([^"]*)"\s+value="([^"]*)"/g)].map(([, name, value]) => [name, value.replaceAll("&amp;", "&")]));
  const opened = await ask("POST", "/_payment", { host: "test.payu.in", type: "application/x-www-form-urlencoded", body: fields.toString() });
  assert.equal(opened.status, 302, opened.body);
  const paid = await ask("POST", `${new URL(opened.headers.location).pathname}/pay`, { body: "" });
  assert.equal(paid.status, 303, paid.body);
  const details = (await client.verifyPayment(txnid)).transaction_details[txnid];
  assert.deepEqual([details.status, Number(details.amt), details.udf1, details.udf3], ["success", AMOUNT / 100, "one", "three & a half"]);
  const refund = await client.cancelRefundTransaction(details.mihpayid, "refund-1", (PART / 100).toFixed(2), "https://shop.example/refunds");
  assert.equal(Number(refund.status), 1);
  const too_much = await client.cancelRefundTransaction(details.mihpayid, "refund-2", (AMOUNT / 100).toFixed(2), "https://shop.example/refunds");
  assert.equal(Number(too_much.status), 0);
  const { body } = await webhook_about("payu", txnid);
  const told = Object.fromEntries(new URLSearchParams(body));
  assert.deepEqual([told.udf1, told.udf2, told.udf3], ["one", "", "three & a half"]);
  assert.ok(client.hasher.validateResponseHash(told));
  assert.ok(!client.hasher.validateResponseHash({ ...told, amount: "1.00" }));
});

test("Juspay", async () => {
  const { Juspay } = require("expresscheckout-nodejs");
  const basic_auth = require("basic-auth");
  Juspay.customLogger = Juspay.silentLogger;
  const client = new Juspay({ merchantId: "jp_test_key", apiKey: SECRET, baseUrl: "https://sandbox.juspay.in" });
  const order_id = randomUUID();
  const session = await client.orderSession.create({ amount: (AMOUNT / 100).toFixed(2), order_id, customer_id: "asha", payment_page_client_id: "jp_test_key",
    action: "paymentPage", return_url: "https://shop.example/thanks", udf1: NOTES.shop, udf10: "ten", metadata: OTHER_NOTES });
  assert.ok(session.payment_links.web);
  const other = await ask("POST", "/orders", { host: "sandbox.juspay.in", type: "application/x-www-form-urlencoded", body: `order_id=${order_id}&amount=1.00` });
  assert.equal(other.status, 400, other.body);
  assert.equal((await client.order.status(order_id)).status, "NEW");
  await pay(order_id);
  const paid = await client.order.status(order_id);
  assert.deepEqual([paid.status, Number(paid.amount)], ["CHARGED", AMOUNT / 100]);
  const is_noted = (order) => assert.deepEqual([order.udf1, order.udf2, order.udf10, order.metadata], [NOTES.shop, "", "ten", OTHER_NOTES]);
  is_noted(paid);
  const refunded = await client.order.refund(order_id, { unique_request_id: randomUUID(), amount: PART / 100 });
  assert.equal(Number(refunded.refunds[0].amount), PART / 100);
  await refused(() => client.order.refund(order_id, { unique_request_id: randomUUID(), amount: AMOUNT / 100 }));
  const { headers, body } = await webhook_about("juspay", ["ORDER_SUCCEEDED", order_id]);
  is_noted(JSON.parse(body).content.order);
  const plain = randomUUID(); // opened by a form
  await client.order.create({ order_id: plain, amount: AMOUNT / 100, currency: "INR", udf1: NOTES.shop, udf10: "ten", "metadata.why": OTHER_NOTES.why });
  is_noted(await client.order.status(plain));
  const { name, pass } = basic_auth.parse(headers.authorization);
  assert.deepEqual([name, pass], ["tiffin", SECRET]);
});
