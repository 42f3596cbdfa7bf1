// The button that times files on this device. Work is done by static/device_worker.js; results go to Python as they are.
const MOST_TIMES = 2000; // of one file, as in optimizers/devices/browser.py
const places = new WeakMap();
const modules = new Map();

export default function (component) {
  const { parentElement } = component;
  let place = places.get(parentElement);
  if (!place) {
    place = { running: null, component };
    places.set(parentElement, place);
    prepare(place, parentElement);
  }
  place.component = component;
  if (!place.running) show(place);
  return () => place.running && stop(place, "");
}

function prepare(place, parent) {
  const found = (name) => parent.querySelector("." + name) ?? parent.querySelector(name);
  place.ui = Object.fromEntries(["facts", "start", "stop", "progress", "now"].map((name) => [name, found(name)]));
  place.root = new URL("app/static/", new URL("./", location.href)).href;
  place.ui.start.onclick = () => start(place);
  place.ui.stop.onclick = () => stop(place, "Stopped; nothing was kept.");
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && place.running) stop(place, "The page went into the background, where browsers slow work down. Measure again with it in front.");
  });
  capable(place).catch(() => tell(place, "This browser has no WebAssembly with SIMD, which LiteRT.js needs; nothing can be timed here."));
}

// A program that adds up a vector, the least that LiteRT.js needs.
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

async function capable(place) {
  if (!WebAssembly.validate(SIMD)) throw new Error("no SIMD");
  place.litert = await import(place.root + "litertjs/core.js");
  const relaxed = await place.litert.supportsFeature("relaxedSimd");
  const adapter = navigator.gpu ? await navigator.gpu.requestAdapter().catch(() => null) : null;
  place.build = relaxed ? "litert_wasm_internal" : "litert_wasm_compat_internal";
  place.accelerators = adapter ? ["wasm", "webgpu"] : ["wasm"];
  const told = [relaxed ? "WebAssembly with relaxed SIMD, one thread" : "WebAssembly with SIMD, one thread"];
  told.push(adapter ? "WebGPU" : "no WebGPU here");
  place.ui.facts.textContent = "This browser: " + told.join(" · ");
  show(place);
}

function show(place) {
  const { files } = place.component.data;
  place.ui.start.disabled = !place.build || !files.length;
  place.ui.start.textContent = files.length === 1 ? "Measure 1 file" : `Measure ${files.length} files`;
}

async function start(place) {
  const { files, baselines, accelerators, instances, seconds, version } = place.component.data;
  const wanted = accelerators.filter((name) => place.accelerators.includes(name));
  const jobs = wanted.flatMap((accelerator) => files.map((file) => ({ accelerator, file })));
  if (!jobs.length) return tell(place, "This browser offers none of the chosen accelerators.");
  const running = { worker: null };
  place.running = running;
  const report = { user_agent: navigator.userAgent.slice(0, 400), litertjs: version, tick_ms: 0, timed: [], problems: [] };
  place.ui.start.disabled = true;
  place.ui.stop.hidden = place.ui.progress.hidden = false;
  for (const [number, { accelerator, file }] of jobs.entries()) {
    const about = { digest: file.digest, accelerator };
    const baseline = baselines[file.baseline] ?? null;
    tell(place, `${number + 1} of ${jobs.length}: ${file.label}, ${TITLES[accelerator]}`);
    place.ui.progress.value = number / jobs.length;
    const work = { accelerator, file, baseline, seconds, most: Math.floor(MOST_TIMES / instances) };
    const answer = await several(place, running, work, instances, (part) => {
      place.ui.progress.value = (number + part) / jobs.length;
    });
    if (place.running !== running) return;
    if (answer.type === "problem") {
      report.problems.push({ ...about, reason: answer.reason });
    } else {
      const { tick, ...result } = answer.result;
      report.tick_ms = Math.max(report.tick_ms, tick);
      report.timed.push({ ...about, ...result });
    }
  }
  finish(place, "");
  place.component.setTriggerValue("report", report);
}

// Results of several workers, one after the other, as one.
async function several(place, running, work, instances, progress) {
  const whole = { times: [], baseline_times: [], instances: [], repeat: 1, baseline_repeat: 1, max_difference: 0, largest: 0, tick: 0 };
  for (let number = 0; number < instances; number++) {
    const turn = { backwards: number % 2 === 1, repeats: [whole.repeat, whole.baseline_repeat] };
    const answer = await one(place, running, { ...work, ...turn }, (part) => progress((number + part) / instances));
    if (place.running !== running || answer.type === "problem") return answer;
    const { times, baseline_times, ...figures } = answer.result;
    whole.times.push(...times);
    whole.baseline_times.push(...baseline_times);
    whole.instances.push(...times.map(() => number));
    for (const [name, value] of Object.entries(figures)) whole[name] = Math.max(whole[name], value);
  }
  return { type: "timed", result: whole };
}

const TITLES = { wasm: "WebAssembly", webgpu: "WebGPU" };

async function one(place, running, work, progress) {
  const { build } = place;
  let module;
  try {
    module = await compiled(place.root, build);
  } catch (error) {
    return { type: "problem", reason: "LiteRT.js could not be loaded: " + String(error.message ?? error).slice(0, 200) };
  }
  return new Promise((resolve) => {
    const worker = new Worker(place.root + "device_worker.js");
    const end = (answer) => {
      worker.terminate();
      resolve(answer);
    };
    running.worker = worker;
    running.end = () => end({ type: "problem", reason: "Stopped." });
    worker.onerror = (event) => end({ type: "problem", reason: "LiteRT.js stopped working: " + String(event.message).slice(0, 200) });
    worker.onmessage = ({ data }) => (data.type === "progress" ? progress(data.part) : end(data));
    worker.postMessage({ root: place.root, build, module, ...work, file: absolute(work.file), baseline: work.baseline && absolute(work.baseline) });
  });
}

// The server names files by their path below the app's root, as it does for pictures.
function absolute(file) {
  const from = new URL("./", location.href);
  const whole = (path) => new URL(path.replace(/^\//, ""), from).href;
  return { model: whole(file.model), example: whole(file.example) };
}

async function compiled(root, build) {
  if (!modules.has(build)) {
    const response = await fetch(root + "litertjs/" + build + ".wasm.gz");
    if (!response.ok) throw new Error("HTTP " + response.status);
    modules.set(build, await WebAssembly.compile(await unpacked(await response.arrayBuffer())));
  }
  return modules.get(build);
}

// Packed files that a proxy announces as such arrive unpacked.
async function unpacked(content) {
  const [first, second] = new Uint8Array(content, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return content;
  return new Response(new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

function stop(place, words) {
  const { running } = place;
  place.running = null;
  running.end?.();
  finish(place, words);
}

function finish(place, words) {
  place.running = null;
  place.ui.stop.hidden = place.ui.progress.hidden = true;
  tell(place, words);
  show(place);
}

function tell(place, words) {
  place.ui.now.textContent = words;
}
