// The Stripe connector against a Stripe that others wrote: stripe-stateful-mock, as it is published. It listens here; stripe_errors.c, a
// program of ours, is the connector's side. Started by deploy/local.sh sdk.
//
//   STRIPE_ERRORS=<binary> node --test stripe-mock.mjs
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import test from "node:test";

const require = createRequire(import.meta.url);

test("Stripe's errors, from another's mock", async () => {
  createRequire(require.resolve("stripe-stateful-mock"))("loglevel").setLevel("silent"); // it logs each conflict of keys
  const mock = require("stripe-stateful-mock").createExpressApp();
  const server = await new Promise((resolve) => {
    const listening = mock.listen(0, "127.0.0.1", () => resolve(listening));
  });
  try {
    const program = spawn(process.env.STRIPE_ERRORS, [], { env: { ...process.env, STRIPE_MOCK_URL: `http://127.0.0.1:${server.address().port}` } });
    const said = [];
    for (const stream of [program.stdout, program.stderr]) stream.on("data", (part) => said.push(part));
    const status = await new Promise((resolve, reject) => program.once("error", reject).once("close", resolve));
    assert.equal(status, 0, Buffer.concat(said).toString());
    assert.match(Buffer.concat(said).toString(), /PASSED +\] [1-9][0-9]* test/); // it did run them
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
