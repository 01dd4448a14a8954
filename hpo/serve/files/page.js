"use strict";

const settings = JSON.parse(document.getElementById("settings").textContent);
const found = (id) => document.getElementById(id);
const base = new URL(".", location.href).href.replace(/\/$/, "");
found("address").textContent = base;

/* An image that is chosen or drawn, at the size that the model sees. */
const canvas = found("canvas");
let hasImage = false;
/* The file itself, as long as nothing is changed of it: the server reads it as training read its files. */
let whole = null;

function pen() {
  return canvas.getContext("2d", { willReadFrequently: true });
}

function clearImage() {
  const context = pen();
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  hasImage = false;
  whole = null;
}

async function takeImage(file) {
  const image = await createImageBitmap(file);
  const context = pen();
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  if (settings.channels === 1) eachPixel((r, g, b) => Array(3).fill(0.299 * r + 0.587 * g + 0.114 * b));
  hasImage = true;
  whole = settings.files.includes(file.type) && file.size <= settings.bytes ? file : null;
}

function eachPixel(change) {
  const context = pen();
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < image.data.length; i += 4) {
    const [r, g, b] = change(image.data[i], image.data[i + 1], image.data[i + 2]);
    image.data[i] = r;
    image.data[i + 1] = g;
    image.data[i + 2] = b;
  }
  context.putImageData(image, 0, 0);
}

function pixels() {
  const { data } = pen().getImageData(0, 0, canvas.width, canvas.height);
  const rows = [];
  for (let channel = 0; channel < settings.channels; channel++) {
    const plane = [];
    for (let y = 0; y < canvas.height; y++) {
      const line = [];
      for (let x = 0; x < canvas.width; x++) {
        line.push((data[4 * (y * canvas.width + x) + channel] / 255) * settings.white);
      }
      plane.push(line);
    }
    rows.push(plane);
  }
  return rows;
}

function drawing() {
  canvas.classList.add("drawn");
  found("hint").textContent += " Or draw one, white on black.";
  let last = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * canvas.width,
      ((event.clientY - box.top) / box.height) * canvas.height,
    ];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last === null) return;
    const next = place(event);
    const context = pen();
    context.strokeStyle = "#fff";
    context.lineWidth = Math.max(1, canvas.width / 11);
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...next);
    context.stroke();
    last = next;
    hasImage = true;
    whole = null;
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (last = null));
}

/* What is filled in, as the body of a request. */
const cells = [...document.querySelectorAll("#fields [data-kind]")];

class Mistake extends Error {
  constructor(text, cell) {
    super(text);
    this.cell = cell;
  }
}

function cellValue(cell) {
  if (cell instanceof HTMLSelectElement) return cell.value === "" ? null : cell.value;
  const text = cell.value.trim();
  if (text === "") return null;
  if (cell.dataset.kind === "text") return text;
  const name = document.querySelector(`label[for=${cell.id}]`).textContent;
  const thousands = /^([+-]?[1-9]\d{0,2}),(\d{3})$/.exec(text);
  if (thousands) {
    const [, high, low] = thousands;
    throw new Mistake(`${name}: “${text}” may be ${high}.${low} or ${high}${low}; write it so`, cell);
  }
  const number = Number(text.replace(/^([+-]?\d+),(\d+)$/, "$1.$2"));
  if (Number.isFinite(number)) return number;
  throw new Mistake(`${name}: “${text}” is no number`, cell);
}

function steps(text) {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) =>
    line.trim().split(/[\s,;]+/).map((one) => {
      if (one === "" || one.toLowerCase() === "nan") return null;
      if (!Number.isFinite(Number(one))) throw new Mistake(`“${one}” is no number`, found("text"));
      return Number(one);
    }),
  );
}

function body() {
  if (settings.kind === "table") {
    const row = Object.fromEntries(settings.columns.map((name, i) => [name, cellValue(cells[i])]));
    return ["application/json", JSON.stringify({ rows: [row] })];
  }
  if (settings.kind === "image") {
    if (!hasImage) throw new Mistake("Choose an image" + (settings.drawn ? ", or draw one" : ""), found("file"));
    if (whole !== null) return [whole.type, whole];
    return ["application/json", JSON.stringify({ rows: [pixels()] })];
  }
  const { value } = found("text");
  if (value.trim() === "") throw new Mistake("Fill it in first", found("text"));
  if (settings.kind === "series") return ["text/csv", value];
  const row = settings.kind === "text" ? value : steps(value);
  return ["application/json", JSON.stringify({ rows: [row] })];
}

/* What the model says. */
function shown(number) {
  const size = Math.abs(number);
  return size !== 0 && (size < 1e-3 || size >= 1e7) ? number.toExponential(3) : String(Number(number.toPrecision(6)));
}

function percent(share) {
  return share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

function line(name, last, share) {
  const row = document.createElement("div");
  row.className = share === undefined ? "row number" : "row";
  const label = document.createElement("span");
  label.textContent = label.title = name;
  row.append(label);
  if (share !== undefined) {
    const track = document.createElement("span");
    const bar = document.createElement("span");
    track.className = "track";
    track.setAttribute("role", "meter");
    track.setAttribute("aria-valuenow", share);
    track.setAttribute("aria-valuemin", 0);
    track.setAttribute("aria-valuemax", 1);
    track.setAttribute("aria-label", name);
    bar.style.width = `${100 * share}%`;
    track.append(bar);
    row.append(track);
  }
  const value = document.createElement("span");
  value.textContent = last;
  row.append(value);
  return row;
}

function tell(answer, milliseconds) {
  const { prediction, probabilities } = answer.predictions[0];
  const bars = found("bars");
  bars.replaceChildren();
  let said = "";
  if (probabilities !== undefined) {
    const shares = Object.entries(probabilities).sort((one, other) => other[1] - one[1]);
    for (const [name, share] of shares.slice(0, 30)) {
      const row = line(name, percent(share), share);
      const chosen = typeof prediction === "object" ? prediction[name] === 1 : prediction === name;
      if (chosen) row.classList.add("best");
      bars.append(row);
    }
    if (shares.length > 30) bars.append(line(`and ${shares.length - 30} less likely ones`, ""));
    const taken = typeof prediction === "object" ? Object.keys(prediction).filter((name) => prediction[name] === 1) : [prediction];
    said = taken.join(", ") || "none of the labels";
  } else if (typeof prediction === "number") {
    said = shown(prediction);
  } else {
    const numbers = Array.isArray(prediction) ? prediction.map((one, i) => [`step ${i + 1}`, one]) : Object.entries(prediction);
    for (const [name, number] of numbers) bars.append(line(name, shown(number)));
  }
  found("said").textContent = said;
  found("said").hidden = said === "";
  found("took").textContent = `in ${milliseconds.toFixed(0)} ms, by model ${answer.model.slice(0, 12)}`;
  found("result").hidden = false;
}

function refuse(text, cell) {
  found("result").hidden = true;
  const error = found("error");
  const field = cell?.closest(".field");
  (field ?? found("below")).append(error);
  error.textContent = text;
  error.hidden = false;
  if (!cell) return;
  field.hidden = false;
  cell.setAttribute("aria-invalid", "true");
  cell.setAttribute("aria-errormessage", "error");
  cell.focus();
}

function cellOf(where) {
  const name = /^rows\[0\]\.(.+)$/s.exec(where);
  return name ? cells[settings.columns.indexOf(name[1])] : undefined;
}

async function predict() {
  found("error").hidden = true;
  for (const cell of document.querySelectorAll("[aria-invalid]")) cell.removeAttribute("aria-invalid");
  const [type, content] = body();
  const began = performance.now();
  const response = await fetch("predict", { method: "POST", headers: { "content-type": type }, body: content });
  const answer = await response.json();
  if (response.ok) return tell(answer, performance.now() - began);
  const { where, what, hint } = answer.error;
  refuse(`${where}: ${what}${hint ? `; ${hint}` : ""}`, cellOf(where));
}

found("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  found("send").disabled = true;
  try {
    await predict();
  } catch (error) {
    if (error instanceof Mistake) refuse(error.message, error.cell);
    else refuse(`The server does not answer (${error.message})`);
  } finally {
    found("send").disabled = false;
  }
});

if (found("fill")) {
  found("fill").addEventListener("click", () => {
    for (const cell of cells) if (cell.value === "") cell.value = cell.dataset.typical ?? "";
  });
}

if (found("filter")) {
  found("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const field of document.querySelectorAll(".field")) field.hidden = !field.dataset.name.includes(wanted);
  });
}

if (canvas) {
  clearImage();
  if (settings.drawn) drawing();
  found("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) takeImage(file).catch(() => refuse("That is no image that this browser can read", found("file")));
  });
  found("clear").addEventListener("click", clearImage);
  found("invert").addEventListener("click", () => {
    eachPixel((r, g, b) => [255 - r, 255 - g, 255 - b]);
    hasImage = true;
    whole = null;
  });
}
