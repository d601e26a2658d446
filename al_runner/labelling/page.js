"use strict";
const KEYS = "123456789abcdefghijklmnopqrstuvwxyz", UNSURE = "?", NEW = "new:";
const data = JSON.parse(document.getElementById("data").textContent);
const items = data.items, given = data.classes, element = (id) => document.getElementById(id);
let added = [], labels = {}, past = [], now = 0, saved = true;

const storageKey = `al-runner query ${data.name}`;
try {
  const stored = JSON.parse(localStorage.getItem(storageKey));
  if (stored) { added = stored.added; labels = stored.labels; saved = stored.saved; }
} catch { /* some browsers store nothing for pages that are opened as files */ }

const classes = () => [...given, ...added];
const done = () => items.filter((item) => item.id in labels).length;

function keep() {
  try { localStorage.setItem(storageKey, JSON.stringify({ added, labels, saved })); } catch { /* as above */ }
}

// The class of this name. Names that look the same, or differ in capital letters alone, are one.
function named(name) {
  const plain = (text) => text.normalize("NFC").toLowerCase();
  return classes().find((other) => other === name) ?? classes().find((other) => plain(other) === plain(name));
}

// What a label of the table means, with its class added if it is new; undefined if it means nothing.
function meant(label) {
  if (!label || label === UNSURE) return label || undefined;
  const isNew = label.startsWith(NEW), name = (isNew ? label.slice(NEW.length) : label).trim();
  if (name && (isNew || !given.length) && named(name) === undefined) added.push(name);
  return named(name);
}

for (const item of items) {
  const label = item.id in labels ? undefined : meant(item.label);
  if (label !== undefined) labels[item.id] = label;
}

function answer(label) {
  past.push({ at: now, id: items[now].id, before: labels[items[now].id] });
  labels[items[now].id] = label;
  saved = false;
  keep();
  next(true);
}

// Go to the next image. If `unlabelled` is true, go to the next one without a label, or stay if every one has a label.
function next(unlabelled) {
  const order = items.map((_, step) => (now + 1 + step) % items.length);
  const target = unlabelled ? order.find((at) => !(items[at].id in labels)) : order[0];
  if (target !== undefined) now = target;
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
  const same = named(name);
  if (same === undefined) added.push(name);
  keep();
  show();
  tell(same === undefined ? "" : `The class ${same} exists already.`);
}

function csv() {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const written = (label) => (label === undefined ? "" : added.includes(label) ? NEW + label : label);
  const rows = items.map((item) => [item.id, item.file, written(labels[item.id]), item.guess,
    item.guess ? item.sureness.toFixed(3) : "", item.fingerprint].map(String).map(quoted).join(","));
  return ["id,file,label,guess,sureness,fingerprint", ...rows].join("\n") + "\n";
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
  tell(`query.csv is in your browser's download folder${left ? `; ${left} images have no label yet` : ""}.`);
}

const tell = (text) => { element("message").textContent = text; };

function button(text, key, action) {
  const created = document.createElement("button");
  if (key) created.append(Object.assign(document.createElement("kbd"), { textContent: key }));
  created.append(text);
  created.addEventListener("click", action);
  return created;
}

function show() {
  const item = items[now], image = element("image");
  tell("");
  image.onload = () => image.classList.toggle("small", image.naturalWidth < 128);
  image.src = item.picture;
  image.alt = item.file || `image ${item.id}`;
  element("file").textContent = `${item.file || `image ${item.id}`} (${now + 1} of ${items.length})`;
  element("guess").textContent = item.guess ? `net's guess: ${item.guess}, ${Math.round(100 * item.sureness)} % sure` : "";
  element("count").textContent = `${done()} of ${items.length} labelled, ${items.length - done()} left`;
  element("done").style.width = `${(100 * done()) / items.length}%`;
  element("save").classList.toggle("ready", done() === items.length && !saved);
  element("unsure").setAttribute("aria-pressed", labels[item.id] === UNSURE);
  element("classes").replaceChildren(...classes().map((name, number) => {
    const created = button(name, KEYS[number], () => answer(name));
    created.setAttribute("aria-pressed", labels[item.id] === name);
    created.classList.toggle("guess", name === item.guess);
    created.dataset.name = name;
    return created;
  }));
  for (const [at, thumb] of [...element("all").children].entries()) {
    const label = labels[items[at].id];
    thumb.classList.toggle("now", at === now);
    thumb.classList.toggle("labelled", label !== undefined);
    thumb.lastChild.textContent = label ?? "\u00a0";
  }
}

element("all").append(...items.map((item, at) => {
  const created = button("", "", () => { now = at; show(); });
  const picture = Object.assign(document.createElement("img"), { src: item.picture, alt: `image ${item.id}`, loading: "lazy" });
  created.append(picture, document.createElement("span"));
  return created;
}));
element("add").addEventListener("submit", (event) => {
  event.preventDefault();
  add(element("name").value);
  element("name").value = "";
  element("name").blur();
});
element("unsure").addEventListener("click", () => answer(UNSURE));
element("skip").addEventListener("click", () => next(false));
element("back").addEventListener("click", () => { now = (now + items.length - 1) % items.length; show(); });
element("undo").addEventListener("click", undo);
element("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
  if (event.target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ")) return; // the key presses this button
  const actions = { "?": () => answer(UNSURE), ArrowRight: () => next(false), Backspace: undo, Enter: save,
    ArrowLeft: () => element("back").click() };
  const name = classes()[KEYS.indexOf(event.key)];
  const action = actions[event.key] ?? (event.key.length === 1 && name !== undefined ? () => answer(name) : undefined);
  if (!action) return;
  event.preventDefault();
  action();
});
window.addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
const begin = items.findIndex((item) => !(item.id in labels));
now = Math.max(0, begin);
show();
