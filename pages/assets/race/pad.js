// Paper to draw on. What goes to Python is its ink: SIDE x SIDE pixels, two hexadecimal digits each, as in
// optimizers/live/given.py; empty paper is sent as an empty text.
const SIDE = 96;
const PEN = 0.1; // of the paper's side
const papers = new WeakMap();

export default function (component) {
  const { parentElement } = component;
  let paper = papers.get(parentElement);
  if (!paper) {
    paper = { strokes: [], pen: null, component };
    papers.set(parentElement, paper);
    prepare(paper, parentElement);
  }
  paper.component = component;
  draw(paper);
}

function prepare(paper, parent) {
  paper.canvas = parent.querySelector("canvas");
  paper.clear = parent.querySelector("button.clear");
  paper.clear.onclick = () => {
    paper.strokes = [];
    draw(paper);
    paper.component.setStateValue("ink", "");
  };
  const { canvas } = paper;
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    paper.pen = event.pointerId;
    paper.strokes.push([place(canvas, event)]);
    draw(paper);
  };
  canvas.onpointermove = (event) => {
    if (event.pointerId !== paper.pen) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) paper.strokes.at(-1).push(place(canvas, part));
    draw(paper);
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    if (event.pointerId !== paper.pen) return;
    paper.pen = null;
    paper.component.setStateValue("ink", ink(paper));
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(paper));
}

// Corners are kept from 0 to 1, so that they survive a change of size.
function place(canvas, event) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return [(event.clientX - left) / width, (event.clientY - top) / height];
}

function draw(paper) {
  const { canvas } = paper;
  trace(canvas.getContext("2d"), canvas.width, paper.strokes, getComputedStyle(canvas).color);
  paper.clear.disabled = paper.strokes.length === 0;
}

function trace(context, side, strokes, colour) {
  context.clearRect(0, 0, side, side);
  context.strokeStyle = colour;
  context.lineWidth = side * PEN;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0][0] * side, stroke[0][1] * side);
    for (const [x, y] of stroke.length > 1 ? stroke.slice(1) : stroke) context.lineTo(x * side, y * side);
    context.stroke();
  }
}

function ink(paper) {
  const small = document.createElement("canvas");
  small.width = small.height = SIDE;
  const context = small.getContext("2d", { willReadFrequently: true });
  trace(context, SIDE, paper.strokes, "#000");
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + 3].toString(16).padStart(2, "0")).join("");
}
