"use strict";
const KEYS = "123456789abcdefghijklmnopqrstuvwxyz", UNSURE = "?", NEW = "new:";
const data = JSON.parse(document.getElementById("data").textContent);
const items = data.items, given = data.classes, place = (id) => document.getElementById(id);
let added = [], labels = {}, past = [], now = 0, saved = true;

const kept = `al-runner query ${data.name}`;
try {
  const held = JSON.parse(localStorage.getItem(kept));
  if (held) { added = held.added; labels = held.labels; saved = held.saved; }
} catch { /* a browser that keeps nothing for files */ }
for (const item of items)
  if (!(item.id in labels) && (item.label === UNSURE || given.includes(item.label))) labels[item.id] = item.label;

const classes = () => [...given, ...added];
const done = () => items.filter((item) => item.id in labels).length;

function keep() {
  try { localStorage.setItem(kept, JSON.stringify({ added, labels, saved })); } catch { /* as above */ }
}

function answer(label) {
  past.push({ at: now, id: items[now].id, before: labels[items[now].id] });
  labels[items[now].id] = label;
  saved = false;
  keep();
  next(true);
}

// To the next image, of those without a label where one is left and `open` asks for it.
function next(open) {
  const order = items.map((_, step) => (now + 1 + step) % items.length);
  const found = open ? order.find((at) => !(items[at].id in labels)) : order[0];
  if (found !== undefined) now = found;
  show();
}

function undo() {
  const last = past.pop();
  if (!last) return tell("There is nothing to undo.");
  if (last.before === undefined) delete labels[last.id]; else labels[last.id] = last.before;
  now = last.at;
  saved = false;
  keep();
  show();
}

function add(name) {
  name = name.trim().normalize("NFC");
  if (!name || name === UNSURE) return;
  const same = classes().find((other) => other.toLowerCase() === name.toLowerCase());
  if (same === undefined) added.push(name);
  keep();
  show();
  tell(same === undefined ? "" : `${same} is there already.`);
}

function csv() {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const written = (label) => (label === undefined ? "" : added.includes(label) ? NEW + label : label);
  const rows = items.map((item) => [item.id, item.file, written(labels[item.id]), item.guess,
    item.guess ? item.sureness.toFixed(3) : ""].map(String).map(quoted).join(","));
  return ["id,file,label,guess,sureness", ...rows].join("\n") + "\n";
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = "query.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  saved = true;
  keep();
  const left = items.length - done();
  show();
  tell(`query.csv is saved where your browser puts downloads${left ? `; ${left} images have no label yet` : ""}.`);
}

const tell = (text) => { place("told").textContent = text; };

function button(text, key, act) {
  const made = document.createElement("button");
  if (key) made.append(Object.assign(document.createElement("kbd"), { textContent: key }));
  made.append(text);
  made.addEventListener("click", act);
  return made;
}

function show() {
  const item = items[now], image = place("image");
  tell("");
  image.onload = () => image.classList.toggle("small", image.naturalWidth < 128);
  image.src = item.picture;
  image.alt = item.file || `image ${item.id}`;
  place("file").textContent = `${item.file || `image ${item.id}`} (${now + 1} of ${items.length})`;
  place("guess").textContent = item.guess ? `net's guess: ${item.guess}, ${Math.round(100 * item.sureness)} % sure` : "";
  place("count").textContent = `${done()} of ${items.length} labelled, ${items.length - done()} left`;
  place("done").style.width = `${(100 * done()) / items.length}%`;
  place("save").classList.toggle("ready", done() === items.length && !saved);
  place("unsure").setAttribute("aria-pressed", labels[item.id] === UNSURE);
  place("classes").replaceChildren(...classes().map((name, number) => {
    const made = button(name, KEYS[number], () => answer(name));
    made.setAttribute("aria-pressed", labels[item.id] === name);
    made.classList.toggle("guess", name === item.guess);
    made.dataset.name = name;
    return made;
  }));
  for (const [at, thumb] of [...place("all").children].entries()) {
    const label = labels[items[at].id];
    thumb.classList.toggle("now", at === now);
    thumb.classList.toggle("labelled", label !== undefined);
    thumb.lastChild.textContent = label ?? "\u00a0";
  }
}

place("all").append(...items.map((item, at) => {
  const made = button("", "", () => { now = at; show(); });
  const picture = Object.assign(document.createElement("img"), { src: item.picture, alt: `image ${item.id}`, loading: "lazy" });
  made.append(picture, document.createElement("span"));
  return made;
}));
place("add").addEventListener("submit", (event) => {
  event.preventDefault();
  add(place("name").value);
  place("name").value = "";
  place("name").blur();
});
place("unsure").addEventListener("click", () => answer(UNSURE));
place("skip").addEventListener("click", () => next(false));
place("back").addEventListener("click", () => { now = (now + items.length - 1) % items.length; show(); });
place("undo").addEventListener("click", undo);
place("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
  if (event.target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ")) return; // presses it
  const acts = { "?": () => answer(UNSURE), ArrowRight: () => next(false), Backspace: undo, Enter: save,
    ArrowLeft: () => place("back").click() };
  const name = classes()[KEYS.indexOf(event.key)];
  const act = acts[event.key] ?? (event.key.length === 1 && name !== undefined ? () => answer(name) : undefined);
  if (!act) return;
  event.preventDefault();
  act();
});
window.addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
const begin = items.findIndex((item) => !(item.id in labels));
now = Math.max(0, begin);
show();
