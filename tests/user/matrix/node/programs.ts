// What Node programs do: servers and clients, worker threads, child processes, WebAssembly, native helpers, streams.
import assert from "node:assert";
import { execFileSync, fork } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { Readable, Transform } from "node:stream";
import { setTimeout as after } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import zlib from "node:zlib";
import { transformSync } from "esbuild";
import express from "express";
import _ from "lodash";
import { WebSocket, WebSocketServer } from "ws";

const listening = (server) => new Promise<number>((done) => server.on("listening", () => done(server.address().port)));

describe("network", () => {
  it("answers many requests at a time", async () => {
    const app = express();
    app.get("/square/:n", (request, response) => response.json({ square: request.params.n ** 2 }));
    const server = app.listen(0, "127.0.0.1");
    const port = await listening(server);
    const answers = await Promise.all(_.range(200).map(async (n) => (await fetch(`http://127.0.0.1:${port}/square/${n}`)).json()));
    assert.equal(_.sumBy(answers, "square"), _.sumBy(_.range(200), (n) => n * n));
    server.close();
  });

  it("echoes over a web socket", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    server.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
    const client = new WebSocket(`ws://127.0.0.1:${await listening(server)}`);
    const bytes = crypto.randomBytes(1 << 20);
    const echo = await new Promise<Buffer>((done) => {
      client.on("open", () => client.send(bytes));
      client.on("message", (data) => done(data as Buffer));
    });
    assert(echo.equals(bytes));
    client.close();
    server.close();
  });
});

describe("processes and threads", () => {
  it("shares memory with workers", async () => {
    const shared = new SharedArrayBuffer(4);
    const code = `const { workerData } = require("node:worker_threads"); const a = new Int32Array(workerData);
                  for (let n = 0; n < 20000; n++) Atomics.add(a, 0, 1);`;
    await Promise.all(_.range(4).map(() => new Promise((done) =>
      new Worker(code, { eval: true, workerData: shared }).on("exit", done))));
    assert.equal(new Int32Array(shared)[0], 80000);
  });

  it("talks to children", async () => {
    const file = path.join(os.tmpdir(), `child-${process.pid}.cjs`);
    await fs.writeFile(file, `process.on("message", (n) => process.send(n * 2)); process.on("SIGUSR2", () => process.exit(7));`);
    const child = fork(file);
    child.send(21);
    assert.equal(await new Promise((done) => child.on("message", done)), 42);
    child.kill("SIGUSR2");
    assert.equal(await new Promise((done) => child.on("exit", done)), 7);
    await fs.rm(file);
    for (const n of _.range(10)) assert.equal(execFileSync("echo", [`${n}`]).toString(), `${n}\n`);
  });
});

describe("engine", () => {
  it("compiles hot functions, and takes it back", () => {
    const add = (a, b) => a + b;
    let sum = 0;
    for (let n = 0; n < 1e6; n++) sum = add(sum, n);
    assert.equal(sum, 499999500000);
    assert.equal(add("a", 1), "a1");
    assert.equal(add(2n ** 70n, 1n), 1180591620717411303425n);
  });

  it("collects garbage", () => {
    let kept: object[] = [];
    for (let n = 0; n < 300000; n++) {
      kept.push({ n, text: `${n}`, more: [n, n + 1] });
      if (kept.length > 10000) kept = kept.slice(5000);
    }
    assert(kept.length > 0 && process.memoryUsage().heapUsed < 500e6);
  });

  it("runs WebAssembly", async () => {
    const bytes = Buffer.from("AGFzbQEAAAABBgFgAX8BfwMCAQAHBwEDZmliAAAKHgEcACAAQQJIBH8gAAUgAEEBaxAAIABBAmsQAGoLCw==", "base64");
    const { instance } = await WebAssembly.instantiate(bytes);
    assert.equal((instance.exports.fib as (n: number) => number)(24), 46368);
  });

  it("fails with an exception when the stack is full", () => {
    const deep = (n) => deep(n + 1) + 1;
    assert.throws(() => deep(0), RangeError);
  });
});

describe("libraries", () => {
  it("streams, compresses and hashes", async () => {
    const hash = crypto.createHash("sha256");
    const lines = Readable.from(_.range(20000).map((n) => `line ${n}\n`));
    const upper = new Transform({ transform: (chunk, _encoding, done) => done(null, chunk.toString().toUpperCase()) });
    await pipeline(lines, upper, zlib.createGzip(), zlib.createGunzip(), hash);
    assert.equal(hash.digest("hex"), crypto.createHash("sha256").update(_.range(20000).map((n) => `LINE ${n}\n`).join("")).digest("hex"));
    const key = await new Promise<Buffer>((done) => crypto.scrypt("secret", "salt", 32, (_error, k) => done(k)));
    assert.equal(key.length, 32);
  });

  it("starts a helper of the machine's own code", () => {
    assert.equal(transformSync("const a: number = 1 + 1; export { a }", { loader: "ts", minify: true }).code,
                 "const e=2;export{e as a};\n");
  });

  it("watches files", async () => {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "watch-"));
    const events = fs.watch(folder);
    setImmediate(async () => { await after(50); await fs.writeFile(path.join(folder, "new"), "text"); });
    for await (const event of events) {
      assert.equal(event.filename, "new");
      break;
    }
    await fs.rm(folder, { recursive: true });
  });
});
