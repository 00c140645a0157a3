// Loaded before all else (node --require): what the libraries send to a PSP's host goes to the simulator, with the host's name in the
// Host header. The libraries themselves stay as they are published.
const http = require("node:http");
const https = require("node:https");
const { syncBuiltinESMExports } = require("node:module");

const port = Number(process.env.SIMULATOR_PORT);
const LOOPBACK = "127.0.0.1";
const send = http.request;

// request(url[, options][, callback]) and request(options[, callback]) as one form.
function taken_apart(args) {
  const callback = typeof args.at(-1) === "function" ? args.at(-1) : undefined;
  let options = {};
  for (const arg of args) {
    if (typeof arg === "string" || arg instanceof URL) {
      const url = new URL(arg);
      options = { ...options, hostname: url.hostname, port: url.port, path: url.pathname + url.search };
    } else if (arg && typeof arg === "object") {
      options = { ...options, ...arg };
    }
  }
  return { options, callback };
}

function with_host(headers, host) {
  if (Array.isArray(headers) || Object.keys(headers ?? {}).some((name) => name.toLowerCase() === "host")) return headers;
  return { ...headers, Host: host };
}

function request(...args) {
  const { options, callback } = taken_apart(args);
  const host = (options.hostname ?? options.host ?? LOOPBACK).replace(/:\d+$/, "");
  if (host === LOOPBACK) return send({ ...options, protocol: "http:" }, callback);
  const headers = with_host(options.headers, host);
  return send({ method: options.method, path: options.path, auth: options.auth, timeout: options.timeout, headers, host: LOOPBACK, port }, callback);
}

function get(...args) {
  const sent = request(...args);
  sent.end();
  return sent;
}

Object.assign(http, { request, get });
Object.assign(https, { request, get });
syncBuiltinESMExports();
