// With what a conversation is opened.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Credentials } from "../../../turngate/console/credentials.js";

/** Answer the next token grants like this; returns what was asked. */
function gateway(status, body) {
  const asked = [];
  globalThis.fetch = async (url, options) => {
    asked.push([String(url), options]);
    if (status === null) throw new TypeError("Failed to fetch");
    return new Response(JSON.stringify(body), { status });
  };
  return asked;
}

async function opened(key) {
  const credentials = new Credentials("wss://voice.example:8443", key);
  await credentials.open();
  credentials.close();
  return credentials.protocols;
}

test("a key makes a token, and goes nowhere but into a header", async () => {
  const asked = gateway(200, { access_token: "a.b.c", expires_in: 300 });
  assert.deepEqual(await opened("secret-key"), ["bearer", "a.b.c"]);
  const [[url, { method, headers, body }]] = asked;
  assert.deepEqual([url, method, headers.Authorization, JSON.parse(body)], ["https://voice.example:8443/v1/auth/grant", "POST", "Token secret-key", { ttl_seconds: 300 }]);
});

test("what makes no token is used as it is, and nothing is asked without a key", async () => {
  gateway(403, { err_msg: "only an API key makes tokens" });
  assert.deepEqual(await opened("x.y.z"), ["token", "x.y.z"]);
  const asked = gateway(200, {});
  assert.deepEqual(await opened(""), []);
  assert.deepEqual(asked, []);
});

test("a refusal is explained", async () => {
  gateway(401, { err_msg: "this key is not known" });
  await assert.rejects(opened("k"), /refuses the key: this key is not known/);
  gateway(null);
  await assert.rejects(opened("k"), /TURNGATE_ALLOWED_ORIGINS/);
});
