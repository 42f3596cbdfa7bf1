// Times one file in turn with its baseline in LiteRT.js, for a while; the page does so in several workers, one after the other,
// since times differ from one instance of the runtime to the next. A worker keeps the page responsive, and a file that takes the
// memory down with it takes nothing else.
"use strict";

const WARM_UP_MS = 400;
const TICKS_PER_TIME = 100; // so that the step of the clock is at most 1% of a time
const FEWEST_PAIRS = 3;
const WANTED_PAIRS = 8;
const MOST_REPEATS = 100000;

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ type: "timed", result: await measured(data) });
  } catch (error) {
    self.postMessage({ type: "problem", reason: sentence(error) });
  }
};

async function measured({ root, build, module, accelerator, file, baseline, seconds, most, backwards, repeats }) {
  const litert = await runtime(root, build, module);
  const first = await opened(litert, file, accelerator);
  const second = baseline ? await opened(litert, baseline, accelerator) : null;
  const difference = await compared(first);
  const tick = clockStep();
  const both = [first, ...(second ? [second] : [])];
  if (backwards) both.reverse();
  [first.repeat, (second ?? first).repeat] = second ? repeats : [repeats[0], repeats[0]];
  for (const entry of both) await warmUp(entry, tick);
  await pairs(both, seconds, most);
  for (let again = 0; again < 2 && both.map((entry) => coarse(entry, tick)).some(Boolean); again++) {
    await pairs(both, seconds, most);
  }
  return {
    times: first.times, baseline_times: second?.times ?? [], repeat: first.repeat, baseline_repeat: second?.repeat ?? 1,
    ...difference, tick,
  };
}

// A B B A and so on, so that neither always comes first.
async function pairs(both, seconds, most) {
  for (const entry of both) entry.times = [];
  const started = performance.now();
  for (let told = 0; ; both.reverse()) {
    const spent = performance.now() - started;
    const { length } = both[0].times;
    const enough = length >= (spent > 6000 * seconds ? FEWEST_PAIRS : WANTED_PAIRS);
    if (length >= most || (enough && spent > 1000 * seconds)) return;
    if (spent > 30000 && length < FEWEST_PAIRS) throw new Error("too slow");
    for (const entry of both) entry.times.push(await timed(entry));
    if (spent > told + 100) {
      told = spent;
      self.postMessage({ type: "progress", part: Math.min(1, spent / (1000 * seconds)) });
    }
  }
}

// Whether half of the times were too short for the clock, because a busy device misled the warm-up; then they get longer.
function coarse(entry, tick) {
  const spent = entry.repeat * [...entry.times].sort((one, other) => one - other)[entry.times.length >> 1];
  if (spent >= TICKS_PER_TIME * tick || entry.repeat >= MOST_REPEATS) return false;
  entry.repeat = Math.min(MOST_REPEATS, Math.ceil((1.2 * entry.repeat * TICKS_PER_TIME * tick) / Math.max(spent, tick)));
  return true;
}

// What LiteRT writes to its error stream: every step it takes, and what went wrong where nothing but a number is thrown.
const log = [];

async function runtime(root, build, module) {
  const litert = await import(root + "litertjs/core.js");
  self.Module = {
    print: (line) => log.push(line),
    printErr: (line) => log.push(line),
    instantiateWasm: (imports, done) => {
      WebAssembly.instantiate(module, imports).then((instance) => done(instance, module));
      return {};
    },
  };
  await litert.loadLiteRt(root + "litertjs/" + build + ".js");
  return litert;
}

async function opened(litert, file, accelerator) {
  const example = JSON.parse(new TextDecoder().decode(await fetched(file.example)));
  const types = [...example.inputs, ...example.outputs].map((tensor) => tensor.dtype);
  const strange = types.find((type) => !(type in ARRAYS));
  if (strange) throw new Error("Element type " + strange + " is not supported");
  const model = await litert.loadAndCompile(new Uint8Array(await fetched(file.model)), { accelerator });
  if (model.options.accelerator !== accelerator) throw new Error("not on the GPU");
  const details = model.getInputDetails();
  const inputs = details.map((detail, place) => {
    const tensor = named(example.inputs, detail, place);
    return new litert.Tensor(decoded(tensor), tensor.shape);
  });
  return { model, inputs, example, repeat: 1, times: [] };
}

const ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

function named(tensors, detail, place) {
  return tensors.find((tensor) => tensor.names.includes(detail.name)) ?? tensors[place];
}

function decoded(tensor) {
  const bytes = Uint8Array.from(atob(tensor.data), (letter) => letter.charCodeAt(0));
  return new ARRAYS[tensor.dtype](bytes.buffer);
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error("HTTP " + response.status);
  return response.arrayBuffer();
}

// One prediction: the inputs are set, the outputs are read back, as an application would.
async function predicted(entry) {
  const outputs = await entry.model.run(entry.inputs);
  const values = [];
  for (const output of outputs) {
    values.push(await output.data());
    output.delete();
  }
  return values;
}

// The largest difference to what LiteRT answers in Python for the same input, on the first run, before any state is left.
async function compared(entry) {
  const values = await predicted(entry);
  const details = entry.model.getOutputDetails();
  let [maxDifference, largest] = [0, 0];
  details.forEach((detail, place) => {
    const tensor = named(entry.example.outputs, detail, place);
    const expected = decoded(tensor);
    const scale = tensor.scale || 1;
    if (expected.length !== values[place].length) throw new Error("outputs of another shape");
    for (let i = 0; i < expected.length; i++) {
      maxDifference = Math.max(maxDifference, Math.abs(values[place][i] - expected[i]) * scale);
      largest = Math.max(largest, Math.abs((expected[i] - (tensor.scale ? tensor.zero : 0)) * scale));
      if (Number.isNaN(values[place][i])) throw new Error("not a number");
    }
  });
  return { max_difference: maxDifference, largest };
}

function clockStep() {
  let least = Infinity;
  const started = performance.now();
  for (let n = 0; n < 30 && performance.now() - started < 1000; n++) {
    const before = performance.now();
    let after = before;
    while (after === before) after = performance.now();
    least = Math.min(least, after - before);
  }
  return least;
}

// Browsers compile twice: code becomes faster while it runs, so it runs for a while before anything counts.
async function warmUp(entry, tick) {
  const started = performance.now();
  for (let runs = 0; runs < 5 || performance.now() - started < WARM_UP_MS; runs++) {
    await predicted(entry);
    if (performance.now() - started > 30000) break;
  }
  const wanted = TICKS_PER_TIME * tick;
  for (let trial = 0; trial < 8; trial++) {
    const spent = entry.repeat * Math.min(await timed(entry), await timed(entry), await timed(entry));
    if (spent >= wanted || entry.repeat >= MOST_REPEATS) return;
    entry.repeat = Math.min(MOST_REPEATS, Math.ceil(entry.repeat * Math.min(20, (1.2 * wanted) / Math.max(spent, tick))));
  }
}

async function timed(entry) {
  const started = performance.now();
  for (let n = 0; n < entry.repeat; n++) await predicted(entry);
  return (performance.now() - started) / entry.repeat;
}

function sentence(error) {
  const text = String((error && error.message) || error);
  const type = text.match(/(?:Element type|DType) (\w+) is not supported/);
  if (type) return `LiteRT.js takes and gives float32, int32 and uint8 only; this file has ${type[1].toLowerCase()}.`;
  if (text === "not on the GPU") return "LiteRT.js cannot run all operators of this file on WebGPU.";
  if (text === "too slow") return "One prediction takes seconds on this device; three did not fit into half a minute.";
  if (text === "not a number") return "The file gives values that are no numbers on this device.";
  if (text === "outputs of another shape") return "The file gives outputs of another shape than in Python.";
  if (/memory|allocat|out of bounds/i.test(text)) return "The browser ran out of memory with this file.";
  if (/HTTP|fetch/i.test(text)) return "The file did not arrive; reload the page and measure again.";
  const told = log.filter((line) => line.startsWith("ERROR")).map((line) => line.replace(/^ERROR: (\[[^\]]*\] )?/, ""));
  return "LiteRT.js cannot run this file: " + (told.at(-1) ?? text).split("\n")[0].slice(0, 200);
}
