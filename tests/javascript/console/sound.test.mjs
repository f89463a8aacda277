// Sample rates, and prepared answers of functions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EXAMPLE, Functions } from "../../../turngate/console/functions.js";
import { Resampler } from "../../../turngate/console/resample.js";

for (const from of [8_000, 22_050, 24_000, 44_100, 48_000, 96_000]) {
  test(`a second of a tone at ${from} Hz is a second of the same tone at 24000 Hz`, () => {
    const resampler = new Resampler(from, 24_000);
    const tone = Float32Array.from({ length: from }, (_, at) => Math.sin((2 * Math.PI * 200 * at) / from) / 2);
    // In pieces, as a browser gives them.
    const made = [];
    for (let at = 0; at < from; at += 128) made.push(...resampler.add(tone.subarray(at, at + 128)));
    assert.ok(Math.abs(made.length - 24_000) <= 1);
    const wrong = made.map((sample, at) => Math.abs(sample / 32_767 - Math.sin((2 * Math.PI * 200 * (at + 0.5)) / 24_000 - (Math.PI * 200) / from) / 2));
    assert.ok(Math.max(...wrong) < 0.06, String(Math.max(...wrong)));
  });
}

test("what is too loud is not turned round", () => {
  assert.deepEqual([...new Resampler(1, 1).add(Float32Array.from([2, -2]))], [32_767, -32_767]);
});

test("a call is answered with the first answer that matches its arguments", () => {
  const functions = new Functions(EXAMPLE);
  assert.equal(functions.answer("get_weather", '{"city":"Oslo","day":"today"}'), '{"sky":"snow"}');
  assert.equal(functions.answer("get_weather", '{"city":"Rome"}'), '{"sky":"clear"}');
  assert.equal(functions.takes("get_weather"), 1_500);
  assert.deepEqual(Object.keys(functions.declarations[0]), ["name", "description", "parameters"]);
  assert.match(functions.answer("other", "{}"), /there is no function other/);
  assert.match(functions.answer("get_weather", "{"), /not JSON/);
  assert.match(new Functions('[{"name":"f","parameters":{},"answers":[]}]').answer("f", "{}"), /has no answer/);
  assert.equal(new Functions('[{"name":"f","parameters":{}}]').answer("f", "{}"), null, "a person answers");
});

test("what cannot be read is explained", () => {
  assert.deepEqual(new Functions(" ").declarations, []);
  for (const [text, why] of [["{", /not JSON/], ["{}", /a list is needed/], ["[{}]", /needs a name/], ['[{"name":"f"}]', /f needs parameters/]]) {
    assert.throws(() => new Functions(text), why);
  }
});
