"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const charts = read("data").charts, sheets = read("sheets");
  const NS = "http://www.w3.org/2000/svg";

  const svg = (name, attributes, parent) => {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (parent) parent.append(node);
    return node;
  };
  const html = (name, attributes, parent, text) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  };
  const known = (value) => value !== null && value !== undefined;
  const count = (value) => value.toLocaleString("en-US");
  const digits = (value) => {
    const size = Math.abs(value);
    return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 4);
  };

  function linearTicks(low, high, most) {
    const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const ticks = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) ticks.push(Number(at.toPrecision(12)));
    return ticks;
  }
  function logTicks(low, high) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const m of [1, 2, 5]) if (m * 10 ** power >= low && m * 10 ** power <= high) ticks.push(m * 10 ** power);
    if (ticks.length < 2) return linearTicks(low, high, 4);
    return ticks.length > 8 ? ticks.filter((tick) => /^1?0*\.?0*1?$/.test(String(Number(tick.toPrecision(3))))) : ticks;
  }

  function roundTicks(counts, most) { // one tick every few rounds; with many rounds, round numbers
    const first = counts[0], last = counts[counts.length - 1];
    if (counts.length > 20) return linearTicks(first, last, most);
    const far = (last - first) / most, found = [];
    for (const value of counts) if (!found.length || value - found[found.length - 1] >= far) found.push(value);
    return found;
  }

  const around = (x, y, corners) => Array.from({ length: corners }, (_, k) => {
    const turn = 2 * Math.PI * k / corners;
    return `${k ? "L" : "M"}${(x + 4.2 * Math.sin(turn)).toFixed(1)},${(y - 4.2 * Math.cos(turn)).toFixed(1)}`;
  }).join("") + "Z";
  const shapes = {
    o: (x, y) => ["circle", { cx: x, cy: y, r: 3.6 }],
    s: (x, y) => ["rect", { x: x - 3.3, y: y - 3.3, width: 6.6, height: 6.6 }],
    "^": (x, y) => ["path", { d: `M${x - 4},${y + 3.4}L${x + 4},${y + 3.4}L${x},${y - 4}Z` }],
    ">": (x, y) => ["path", { d: `M${x - 3.4},${y - 4}L${x - 3.4},${y + 4}L${x + 4},${y}Z` }],
    d: (x, y) => ["path", { d: `M${x - 2.8},${y}L${x},${y - 4.6}L${x + 2.8},${y}L${x},${y + 4.6}Z` }],
    p: (x, y) => ["path", { d: around(x, y, 5) }],
    h: (x, y) => ["path", { d: around(x, y, 6) }],
    v: (x, y) => ["path", { d: `M${x - 4},${y - 3.4}L${x + 4},${y - 3.4}L${x},${y + 4}Z` }],
    "<": (x, y) => ["path", { d: `M${x + 3.4},${y - 4}L${x + 3.4},${y + 4}L${x - 4},${y}Z` }],
    D: (x, y) => ["path", { d: `M${x - 4.4},${y}L${x},${y - 4.4}L${x + 4.4},${y}L${x},${y + 4.4}Z` }],
    P: (x, y) => ["path", { d: `M${x - 4},${y - 1.3}h2.7v-2.7h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7Z` }],
    X: (x, y) => ["path", { d: `M${x - 4},${y - 4}l2.5,0l1.5,2l1.5,-2l2.5,0l-2.6,4l2.6,4l-2.5,0l-1.5,-2l-1.5,2l-2.5,0l2.6,-4Z` }],
  };
  const mark = (shape, x, y, colour, parent) => {
    if (!shapes[shape]) return;
    const [name, attributes] = shapes[shape](x, y);
    svg(name, { ...attributes, fill: colour, stroke: "#fff", "stroke-width": 0.8 }, parent);
  };

  const FEW = 6; // more curves have no bands, which would cover each other
  const download = (address, name) => html("a", { href: address, download: name.replace(/[^\w.-]+/g, "-") }).click();
  const save = (figure, name, kind) => {
    const address = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(figure)], { type: "image/svg+xml" }));
    if (kind === "SVG") { download(address, `${name}.svg`); return; }
    const image = new Image(), times = 2;
    image.onload = () => {
      const canvas = html("canvas", { width: image.width * times, height: image.height * times });
      const context = canvas.getContext("2d");
      context.scale(times, times); context.drawImage(image, 0, 0);
      download(canvas.toDataURL("image/png"), `${name}.png`);
    };
    image.src = address;
  };

  class Chart {
    constructor(root, views) {
      this.id = root.getAttribute("aria-label"); this.views = views; this.view = views[0]; this.log = this.view.log; this.hidden = new Set();
      this.bar = html("div", { class: "controls" }, root);
      this.plot = html("div", { class: "plot" }, root);
      this.legend = html("div", { class: "controls" }, root);
      this.note = html("p", { class: "note" }, root);
      this.tip = null;
      this.buttons(); this.draw();
      new ResizeObserver(() => { if (Math.abs(this.plot.clientWidth - this.width) > 1) this.draw(); }).observe(this.plot);
    }
    buttons() {
      this.bar.replaceChildren(); this.legend.replaceChildren();
      for (const view of this.views) {
        const button = html("button", { type: "button", class: "view", "aria-pressed": view === this.view }, this.bar, view.name);
        button.onclick = () => { this.view = view; this.log = view.log; this.buttons(); this.draw(); };
      }
      if (!this.view.zero) {
        html("span", { class: "gap" }, this.bar);
        const button = html("button", { type: "button", class: "scale" }, this.bar, this.log ? "switch to a linear axis" : "switch to a logarithmic axis");
        button.title = `The vertical axis is ${this.log ? "logarithmic" : "linear"} now`;
        button.onclick = () => { this.log = !this.log; this.buttons(); this.draw(); };
      }
      for (const kind of ["SVG", "PNG"]) {
        const button = html("button", { type: "button", class: "save" }, this.bar, `save ${kind}`);
        button.title = `Save this chart, with the curves that are switched on, as a file (${kind})`;
        button.onclick = () => save(this.figure(), `${this.id}-${this.view.name.replace(/\W+/g, "-")}`, kind);
      }
      const all = [...this.view.lines, ...this.view.truths];
      if (all.length > FEW) {
        const some = all.some((line) => !this.hidden.has(line.name));
        const button = html("button", { type: "button", class: "all" }, this.legend, some ? "switch all off" : "switch all on");
        button.onclick = () => { this.hidden = new Set(some ? all.map((line) => line.name) : []); this.buttons(); this.draw(); };
      }
      for (const line of all) {
        const shown = !this.hidden.has(line.name), truth = !line.x;
        const button = html("button", { type: "button", class: "line", "aria-pressed": shown, "data-line": line.name }, this.legend);
        const key = svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, button);
        svg("line", { x1: 0, x2: 26, y1: 5, y2: 5, stroke: truth ? "#555" : line.colour, "stroke-width": 1.8, "stroke-dasharray": line.dash || "none" }, key);
        if (!truth) mark(line.marker, 13, 5, line.colour, key);
        button.append(`${line.label} (n = ${line.seeds})`);
        button.title = "Show or hide; point at it to see it alone";
        button.onpointerenter = () => this.plot.querySelectorAll("[data-of]").forEach((node) => node.classList.toggle("faint", node.dataset.of !== line.name));
        button.onpointerleave = () => this.plot.querySelectorAll(".faint").forEach((node) => node.classList.remove("faint"));
        button.onclick = () => {
          if (shown) this.hidden.add(line.name); else this.hidden.delete(line.name);
          this.buttons(); this.draw();
        };
      }
      const bands = this.view.lines.some((line) => line.low.some(known));
      const on = this.view.lines.filter((line) => !this.hidden.has(line.name)).length;
      const words = on > FEW ? ` Bands are not drawn for more than ${FEW} curves; switch some off to see them.` : " Bands: 95% t intervals over the seeds.";
      this.note.textContent = this.view.note + (bands ? words : "");
    }
    ends(line, i) { // The ends of an interval. On a logarithmic axis it is an interval of the logarithm, so it stays above 0.
      const y = line.y[i], half = line.high[i] - y;
      return this.log && y > 0 ? [y / Math.exp(half / y), y * Math.exp(half / y)] : [line.low[i], line.high[i]];
    }
    limits(lines, truths) {
      const centres = [...lines.flatMap((line) => line.y), ...truths.map((truth) => truth.y)].filter(known);
      const ends = [...lines.flatMap((line) => line.low.flatMap((low, i) => known(low) ? this.ends(line, i) : [])), ...truths.flatMap((t) => [t.low, t.high]), ...centres].filter(known);
      let low = Math.min(...centres), high = Math.max(...centres);
      const room = Math.max(high - low, 0.02 * Math.abs(high), 1e-6);
      if (this.log) {
        const least = Math.min(...centres.filter((value) => value > 0));
        return [Math.max(Math.min(...ends), least / 1.6) / 1.05, Math.min(Math.max(...ends), high * 1.3) * 1.05];
      }
      low = Math.max(Math.min(...ends), low - room / 3); high = Math.min(Math.max(...ends), high + room / 3);
      if (this.view.zero) { low = Math.min(low, 0); high = Math.max(high, 0); }
      const edge = 0.04 * (high - low || room);
      return [this.view.zero ? low - edge : Math.max(0, low - edge), high + edge];
    }
    draw() {
      const lines = this.view.lines.filter((line) => !this.hidden.has(line.name));
      const truths = this.view.truths.filter((truth) => !this.hidden.has(truth.name));
      const width = this.width = Math.max(280, this.plot.clientWidth || 900), height = Math.round(Math.min(430, Math.max(260, width * 0.5)));
      const left = 48, right = 24, top = 22, bottom = 38;
      this.tip = null; this.plot.replaceChildren();
      const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": this.view.name }, this.plot);
      if (!lines.length) { svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, root).textContent = "All curves are hidden."; return; }
      const counts = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
      const first = counts[0], last = counts[counts.length - 1];
      const positive = lines.some((line) => line.y.some((value) => value > 0));
      if (this.log && !positive) this.log = false;
      const [low, high] = this.limits(lines, truths);
      const f = this.log ? Math.log : (value) => value;
      const inner = width - left - right, tall = height - top - bottom;
      const x = (value) => left + (last === first ? inner / 2 : (value - first) / (last - first) * inner);
      const y = (value) => top + tall - (f(Math.max(value, this.log ? low / 10 : -Infinity)) - f(low)) / (f(high) - f(low)) * tall;
      const id = `clip${Math.random().toString(36).slice(2)}`;
      svg("rect", { x: left - 6, y: top - 4, width: inner + 12, height: tall + 4 }, svg("clipPath", { id }, svg("defs", {}, root)));
      for (const tick of this.log ? logTicks(low, high) : linearTicks(low, high, 5)) {
        svg("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick), stroke: "#e4e6ea" }, root);
        svg("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, root).textContent = Number(tick.toPrecision(3));
      }
      for (const tick of roundTicks(counts, Math.max(3, Math.floor(inner / 64))))
        svg("text", { x: x(tick), y: height - bottom + 17, "text-anchor": "middle" }, root).textContent = count(tick);
      svg("text", { x: left + inner / 2, y: height - 5, "text-anchor": "middle" }, root).textContent = "labelled images";
      svg("text", { x: 4, y: 12 }, root).textContent = this.view.name + (this.view.unit ? ` (${this.view.unit})` : "");
      svg("path", { d: `M${left},${top - 4}V${height - bottom}H${width - right}`, fill: "none", stroke: "#555" }, root);
      const inside = svg("g", { "clip-path": `url(#${id})` }, root);
      for (const truth of truths) {
        if (known(truth.low)) svg("rect", { x: left, width: inner, y: y(truth.high), height: Math.max(0, y(truth.low) - y(truth.high)), fill: "#555", opacity: 0.1 }, inside);
        svg("line", { x1: left, x2: width - right, y1: y(truth.y), y2: y(truth.y), stroke: "#555", "stroke-dasharray": truth.dash, "stroke-width": 1.4 }, inside);
      }
      if (this.view.zero) svg("line", { x1: left, x2: width - right, y1: y(0), y2: y(0), stroke: "#000", "stroke-width": 1.4 }, inside);
      lines.forEach((line, place) => {
        const rounds = line.x.map((_, i) => i).filter((i) => known(line.y[i]));
        const banded = rounds.filter((i) => known(line.low[i]));
        if (banded.length > 1 && lines.length <= FEW) {
          const up = banded.map((i) => `${x(line.x[i]).toFixed(1)},${y(this.ends(line, i)[1]).toFixed(1)}`);
          const down = banded.map((i) => `${x(line.x[i]).toFixed(1)},${y(this.ends(line, i)[0]).toFixed(1)}`).reverse();
          svg("path", { d: `M${[...up, ...down].join("L")}Z`, fill: line.colour, opacity: Math.min(0.15, 0.6 / lines.length), "data-of": line.name }, inside);
        }
        const points = rounds.map((i) => `${x(line.x[i]).toFixed(1)},${y(line.y[i]).toFixed(1)}`);
        svg("path", { d: `M${points.join("L")}`, fill: "none", stroke: line.colour, "stroke-width": 1.7, "stroke-linejoin": "round",
          "stroke-dasharray": line.dash ? line.dash.split(" ").map((part) => part * 1.7).join(" ") : "none", "data-line": line.name, "data-of": line.name }, inside);
        const marked = svg("g", { "data-of": line.name }, inside);
        const marks = Math.min(10, rounds.length);
        for (let k = 0; k < marks; k++) {
          const i = rounds[Math.min(rounds.length - 1, Math.round((k + (marks < 10 ? 0 : 0.1 + 0.8 * place / lines.length)) / (marks - (marks < 10 ? 1 : 0) || 1) * (rounds.length - 1)))];
          mark(line.marker || (rounds.length === 1 ? "o" : ""), x(line.x[i]), y(line.y[i]), line.colour, marked);
        }
      });
      const cursor = svg("line", { y1: top, y2: height - bottom, stroke: "#888", "stroke-dasharray": "3 3", visibility: "hidden" }, root);
      const over = svg("rect", { x: left, y: top, width: inner, height: tall, fill: "transparent" }, root);
      const leave = () => { cursor.setAttribute("visibility", "hidden"); if (this.tip) { this.tip.remove(); this.tip = null; } };
      over.addEventListener("pointermove", (event) => {
        const box = root.getBoundingClientRect(), at = (event.clientX - box.left) * width / box.width;
        const nearest = counts.reduce((best, value) => Math.abs(x(value) - at) < Math.abs(x(best) - at) ? value : best);
        cursor.setAttribute("x1", x(nearest)); cursor.setAttribute("x2", x(nearest)); cursor.setAttribute("visibility", "visible");
        this.say(nearest, lines, x(nearest), width);
      });
      over.addEventListener("pointerleave", leave);
    }
    figure() { // the chart as a picture of its own, with a legend below it
      const shown = this.plot.querySelector("svg"), width = this.width, tall = Number(shown.getAttribute("height"));
      const on = [...this.view.lines, ...this.view.truths].filter((line) => !this.hidden.has(line.name));
      const columns = Math.max(1, Math.floor(width / 210)), whole = tall + 14 + 20 * Math.ceil(on.length / columns);
      const root = svg("svg", { xmlns: NS, viewBox: `0 0 ${width} ${whole}`, width, height: whole });
      svg("style", {}, root).textContent = "text { font: 12px Helvetica, Arial, sans-serif; fill: #333 }";
      svg("rect", { width, height: whole, fill: "#fff" }, root);
      for (const node of shown.children) if (node.getAttribute("visibility") !== "hidden") root.append(node.cloneNode(true));
      on.forEach((line, place) => {
        const x = 12 + (place % columns) * 210, y = tall + 14 + 20 * Math.floor(place / columns), truth = !line.x;
        svg("line", { x1: x, x2: x + 26, y1: y, y2: y, stroke: truth ? "#555" : line.colour, "stroke-width": 1.8, "stroke-dasharray": line.dash || "none" }, root);
        if (!truth) mark(line.marker, x + 13, y, line.colour, root);
        svg("text", { x: x + 33, y: y + 4 }, root).textContent = `${line.label} (n = ${line.seeds})`;
      });
      return root;
    }
    say(labels, lines, at, width) {
      if (!this.tip) this.tip = html("div", { class: "tip", role: "status" }, this.plot);
      const tip = this.tip; tip.replaceChildren();
      html("strong", {}, tip, `${count(labels)} labels`);
      const rows = lines.map((line) => [line, line.x.indexOf(labels)]).filter(([line, i]) => i >= 0 && known(line.y[i]));
      rows.sort(([a, i], [b, j]) => a.y[i] - b.y[j]);
      for (const [line, i] of rows) {
        const row = html("div", {}, tip), half = known(line.low[i]) ? ` [${digits(line.low[i])}, ${digits(line.high[i])}]` : "";
        html("i", { style: `background:${line.colour}` }, row);
        row.append(`${line.label}: ${digits(line.y[i])} ${this.view.unit}${half}`);
      }
      const box = tip.getBoundingClientRect().width, scale = this.plot.clientWidth / width;
      tip.style.left = `${Math.max(0, Math.min(at * scale > this.plot.clientWidth / 2 ? at * scale - box - 12 : at * scale + 12, this.plot.clientWidth - box))}px`;
    }
  }

  for (const [id, views] of Object.entries(charts)) {
    const root = document.getElementById(id);
    if (root) new Chart(root, views);
  }

  const size = (text) => { // of a cell, in seconds where it is a time; NaN where it holds no number
    const [, number, unit] = /^[<]?\s*([+-]?[\d,]*\.?\d+)(?:\s*(s|min|h|Wh))?/.exec(text) || [];
    return number === undefined ? NaN : Number(number.replace(/,/g, "")) * ({ min: 60, h: 3600 }[unit] || 1);
  };
  document.querySelectorAll("figure.table table").forEach((table) => {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const text = head.textContent, button = html("button", { type: "button", class: "sort", title: `Sort by ${text}` });
      button.textContent = text; head.replaceChildren(button);
      button.onclick = () => {
        const up = head.getAttribute("aria-sort") !== "ascending", cell = (row) => row.cells[column].textContent;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const numbers = [...body.rows].some((row) => !Number.isNaN(size(cell(row))));
        const last = (row) => row.cells[0].textContent === "mean" || (numbers && Number.isNaN(size(cell(row))));
        const order = (a, b) => last(a) - last(b) || (last(a) ? 0 : (up ? 1 : -1) * (numbers ? size(cell(a)) - size(cell(b)) : cell(a).localeCompare(cell(b))));
        body.append(...[...body.rows].sort(order));
      };
    });
  });
  document.querySelectorAll(".scroll").forEach((box) => {
    const cue = html("p", { class: "cue", "aria-hidden": "true" }, null, "More columns: scroll the table sideways \u2192");
    box.before(cue);
    const look = () => {
      cue.hidden = box.scrollWidth <= box.clientWidth + 1;
      box.classList.toggle("more", !cue.hidden && box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
    };
    box.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(box);
    look();
  });

  const shorten = (name) => {
    const first = name.split(/ - | |,/)[0];
    return first.length > 7 ? `${first.slice(0, 6)}…` : first;
  };
  document.querySelectorAll(".sheet").forEach((node, order) => {
    const { atlas, classes, runs } = sheets[order], choice = node.querySelector("select"), box = node.querySelector(".rounds");
    const tall = Math.round(34 * atlas.height / atlas.width), rows = Math.ceil(atlas.count / atlas.columns);
    html("style", {}, document.head, `[data-sheet="${node.dataset.sheet}"] .tile i { height: ${tall}px; background-image: url(${atlas.uri}); background-size: ${34 * atlas.columns}px ${tall * rows}px; }`);
    const tile = ([place, id, label, prediction, score], tiles) => {
      const wrong = known(prediction) && prediction !== label;
      const guess = known(prediction) ? `predicted ${classes[prediction]} with probability ${score}` : "prediction not recorded";
      const one = html("div", { class: wrong ? "tile wrong" : "tile", title: `id ${id}: ${classes[label]}, ${guess}` }, tiles);
      html("i", { style: `background-position:-${place % atlas.columns * 34}px -${Math.floor(place / atlas.columns) * tall}px` }, one);
      html("b", {}, one, shorten(classes[label]));
      if (wrong) one.append(` ≠ ${shorten(classes[prediction])}`);
      if (known(prediction)) html("div", {}, one, score.toFixed(2).replace(/^0/, ""));
    };
    const show = () => {
      box.replaceChildren();
      const run = runs[choice.value];
      if (run.note) html("p", { class: "note" }, box, run.note);
      for (const { round, of, images } of run.rounds) {
        const block = html("div", { class: "round" }, box);
        html("b", {}, block, (round ? `round ${round}` : "initial set") + (images.length < of ? `, ${images.length} of ${count(of)}` : ""));
        const tiles = html("div", { class: "tiles" }, block);
        for (const image of images) tile(image, tiles);
      }
      box.scrollTop = 0;
    };
    choice.onchange = show;
    show();
  });
})();
