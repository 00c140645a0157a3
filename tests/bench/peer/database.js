// database.js - connections with many statements under way on each (pg's pipeline mode): a statement does not wait for the answer to the
// one before it. Each is its own transaction all the same.
'use strict';

const { Client, types } = require('pg');

types.setTypeParser(types.builtins.INT8, Number); // amounts are below 2^53

class Database {
  #connectionString;
  #clients;
  #turn = 0;

  constructor(connectionString, size) {
    this.#connectionString = connectionString;
    this.#clients = new Array(size).fill(undefined);
  }

  // Connects all; so that a server that cannot work says so at its start.
  async open() {
    await Promise.all(this.#clients.map((_, i) => this.#connect(i).query('SELECT 1')));
  }

  query(statement, values) {
    const i = this.#turn++ % this.#clients.length;
    return (this.#clients[i] ?? this.#connect(i)).query(statement, values);
  }

  // What is asked meanwhile waits in the client. One whose connection is gone fails what was asked, and the next statement connects anew.
  #connect(i) {
    const client = new Client({ connectionString: this.#connectionString, pipeline: true });
    const forget = (error) => {
      if (error) console.error(error.message);
      if (this.#clients[i] === client) this.#clients[i] = undefined;
    };
    this.#clients[i] = client;
    client.on('error', forget);
    client.on('end', forget);
    client.connect().catch(forget);
    return client;
  }
}

module.exports = { Database };
