// The floor plan as SVG: floor, walls and sensors from the site; people, trails and labels from each scene.
// Metres become pixels here and nowhere else; y points up in the site and down on the screen.
import { LABEL_PX, barPlace, dotAt, labelPlace } from "./places.js";
import { colours, guess, isBody, isOutOfSight, likelyBody, probability } from "./words.js";

const TRAIL_S = 6;
const MARGIN = 24;
const SIGMAS = { confirmed: 2, anonymous: 2, tentative: 1, wireless: 1 };
const GLYPHS = {
  camera: "M-6-3.5h7v7h-7zM1 0l5-3.5v7z", // looking to the right, turned to its yaw
  radar: "M-5 0L3-5.5a9 9 0 0 1 0 11zM-.5-2.8a5 5 0 0 1 0 5.6",
  wifi: "M-5-1.5a7 7 0 0 1 10 0M-2.8 1a4 4 0 0 1 5.6 0M0 3.6v.1",
};
const svg = (name, attributes = {}, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

export class Plan {
  #people = new Map(); // id -> {group, label, trail, points, side}
  #site = null;
  #last = [];
  #marks = {};

  constructor(holder) {
    this.holder = holder;
    this.root = svg("svg", { role: "img", "aria-label": "People on the floor plan; the list of people says the same in words" });
    holder.append(this.root);
    new ResizeObserver(() => { if (this.#site) this.#layOut(); }).observe(holder);
  }

  setSite(site) {
    this.#site = site;
    this.#layOut();
  }

  setSensors(marks) {
    this.#marks = marks;
    for (const node of this.root.querySelectorAll("[data-sensor]")) {
      node.classList.toggle("ok", marks[node.dataset.sensor] === "ok");
      node.classList.toggle("off", marks[node.dataset.sensor] === "off");
    }
  }

  setPeople(people, t_s, chosen) {
    this.#last = [people, t_s, chosen];
    if (!this.#site) return;
    const here = new Set(people.map((person) => person.id));
    for (const [id, drawn] of this.#people) if (!here.has(id)) { drawn.remove(); this.#people.delete(id); }
    const shown = people.map((person) => this.#person(person, people, t_s, chosen));
    this.#placeLabels(shown, people);
  }

  setTruth(truth) {
    if (!this.#site) return;
    this.real.replaceChildren(...(truth ? truth.people.map((name, row) => {
      const [x, y] = this.#at(...truth.position[row]);
      const text = svg("text", { x: 7, y: 12 });
      text.textContent = truth.enrolled[row] || "no phone";
      return svg("g", { class: "real", transform: `translate(${x} ${y})` }, svg("path", { d: "M-5-5L5 5M-5 5L5-5" }), text);
    }) : []));
  }

  #at(x_m, y_m) {
    const { area } = this.#site;
    return [MARGIN + (x_m - area.x_m[0]) * this.scale, MARGIN + (area.y_m[1] - y_m) * this.scale];
  }

  #layOut() {
    const { area, sensors } = this.#site;
    const [w_m, h_m] = [area.x_m[1] - area.x_m[0], area.y_m[1] - area.y_m[0]];
    const room = Math.max(360, window.innerHeight - 190); // the whole room is seen without scrolling
    const width = Math.max(240, this.holder.clientWidth);
    this.scale = Math.min((width - 2 * MARGIN) / w_m, window.innerWidth > 900 ? (room - 2 * MARGIN) / h_m : Infinity);
    this.size = [w_m * this.scale + 2 * MARGIN, h_m * this.scale + 2 * MARGIN];
    this.root.setAttribute("viewBox", `0 0 ${this.size[0]} ${this.size[1]}`);
    this.root.style.maxHeight = `${this.size[1]}px`;
    const [left, top] = this.#at(area.x_m[0], area.y_m[1]);
    const floor = { x: left, y: top, width: w_m * this.scale, height: h_m * this.scale };
    const views = svg("g", { "clip-path": "url(#room)" });
    for (const sensor of sensors) if (sensor.view.length) {
      const points = sensor.view.map((point) => this.#at(...point).join(",")).join(" ");
      views.append(svg("polygon", { points, class: `view ${sensor.kind}`, "data-sensor": sensor.id }));
    }
    const walls = area.walls.map(([x1, y1, x2, y2]) => {
      const [[a, b], [c, d]] = [this.#at(x1, y1), this.#at(x2, y2)];
      return svg("line", { x1: a, y1: b, x2: c, y2: d, class: "wall" });
    });
    this.#people.clear();
    [this.blurs, this.trails, this.bodies, this.labels, this.real] = Array.from({ length: 5 }, () => svg("g"));
    this.blurs.setAttribute("clip-path", "url(#room)");
    this.root.replaceChildren(
      svg("clipPath", { id: "room" }, svg("rect", floor)), svg("rect", { ...floor, class: "floor" }), ...this.#grid(), views, ...walls,
      ...sensors.filter((sensor) => sensor.x_m !== null).map((sensor) => this.#sensor(sensor)), ...this.#scaleBar(),
      this.blurs, this.trails, this.bodies, this.real, this.labels);
    this.setSensors(this.#marks);
    if (this.#last.length) this.setPeople(...this.#last);
  }

  #grid() {
    const { x_m, y_m } = this.#site.area;
    const lines = [];
    const step = x_m[1] - x_m[0] > 40 ? 5 : 1;
    for (let x = Math.ceil(x_m[0]); x <= x_m[1]; x += step) lines.push([x, y_m[0], x, y_m[1]]);
    for (let y = Math.ceil(y_m[0]); y <= y_m[1]; y += step) lines.push([x_m[0], y, x_m[1], y]);
    return lines.map(([x1, y1, x2, y2]) => {
      const [[a, b], [c, d]] = [this.#at(x1, y1), this.#at(x2, y2)];
      return svg("line", { x1: a, y1: b, x2: c, y2: d, class: "grid" });
    });
  }

  #scaleBar() {
    const length_m = this.#site.area.x_m[1] - this.#site.area.x_m[0] > 40 ? 10 : 2;
    const marks = this.#site.sensors.filter(({ x_m }) => x_m !== null).map(({ x_m, y_m }) => this.#at(x_m, y_m));
    const [x, y] = barPlace(this.size, length_m * this.scale + 42, marks, MARGIN);
    const text = svg("text", { x: x + length_m * this.scale + 6, y: y + 4, class: "scale" });
    text.textContent = `${length_m} m`;
    const d = `M${x} ${y - 3}v6M${x} ${y}h${length_m * this.scale}m0-3v6`;
    return [svg("path", { d, class: "scale-line" }), text];
  }

  #sensor({ id, kind, x_m, y_m, yaw_rad }) {
    const [x, y] = this.#at(x_m, y_m);
    const title = svg("title");
    title.textContent = id;
    const turn = yaw_rad === null ? 0 : -yaw_rad * 180 / Math.PI;
    return svg("g", { class: "sensor", "data-sensor": id, transform: `translate(${x} ${y})` }, title, svg("circle", { r: 10 }),
      svg("path", { d: GLYPHS[kind], transform: `rotate(${turn})` }), svg("path", { d: "M-8-8L8 8", class: "cross" }));
  }

  #person(person, people, t_s, chosen) {
    const look = colours.of(person);
    const [x, y] = this.#at(person.x_m, person.y_m);
    let drawn = this.#people.get(person.id);
    if (!drawn || drawn.state !== person.state) {
      drawn?.remove();
      drawn = new Drawn(this, person.state, drawn?.points ?? []);
      this.#people.set(person.id, drawn);
    }
    const isOutside = x < 0 || y < 0 || x > this.size[0] || y > this.size[1];
    drawn.move(person, look, x, y, this.scale, chosen === person.id, isOutside);
    drawn.setEcho(likelyBody(person, people) !== undefined);
    if (person.track !== null && isBody(person)) drawn.follow(x, y, t_s, look, this.scale, !isOutOfSight(person));
    return { drawn, look, x, y, person };
  }

  #placeLabels(shown, people) {
    const dots = shown.map(dotAt);
    const labels = [];
    for (const one of shown) {
      const width = one.drawn.write(one.person, one.look, people);
      const { side, box } = labelPlace({ x: one.x, y: one.y, side: one.drawn.side }, width, this.size, dots, labels);
      one.drawn.label.style.transition = one.drawn.side ? "" : "none"; // measured, a new one was drawn in the corner
      one.drawn.side = side;
      if (width) labels.push(box);
      one.drawn.label.style.transform = `translate(${box[0]}px, ${box[1]}px)`;
    }
  }
}

class Drawn {
  side = "";

  constructor(plan, state, points) {
    this.state = state;
    this.points = points;
    this.blur = svg("ellipse", { class: `blur ${state}` });
    this.tick = svg("line", { class: "tick" });
    this.dot = svg("circle", { class: `dot ${state}`, r: state === "anonymous" ? 9 : 11 });
    this.initial = svg("text", { class: "initial" });
    this.name = svg("tspan");
    this.sure = svg("tspan", { class: "sure" });
    this.frame = svg("rect", { height: LABEL_PX, rx: 6 });
    this.label = svg("g", { class: `label ${state}` }, this.frame, svg("text", { x: 7, y: 10.5 }, this.name, this.sure));
    this.halo = svg("g", { class: `person ${state}` }, this.blur);
    this.group = svg("g", { class: `person ${state}` }, this.tick, this.dot, this.initial);
    this.trail = [0.12, 0.28, 0.5].map((opacity) => svg("polyline", { class: "trail", "stroke-opacity": opacity }));
    plan.blurs.append(this.halo);
    plan.trails.append(...this.trail);
    plan.bodies.append(this.group);
    plan.labels.append(this.label);
  }

  // An identity that is probably on a body gives its name and initial to that body, and keeps only its own ellipse.
  setEcho(isEcho) {
    if (isEcho && !this.isEcho) this.group.parentNode.prepend(this.group); // its dot lies under that body's initial
    this.isEcho = isEcho;
    this.dot.setAttribute("r", isEcho ? 3.5 : this.state === "anonymous" ? 10 : 11);
    this.initial.style.display = isEcho ? "none" : "";
  }

  move(person, look, x, y, scale, isChosen, isOutside) {
    this.group.classList.toggle("likely", guess(person) !== "");
    for (const part of [this.group, this.label]) part.classList.toggle("outside", isOutside);
    for (const part of [this.halo, this.group, this.label]) {
      part.style.setProperty("--c", look.fill);
      part.style.setProperty("--on", look.on);
    }
    this.group.classList.toggle("chosen", isChosen);
    for (const part of [this.halo, this.group, this.label]) part.classList.toggle("out-of-sight", isOutOfSight(person));
    for (const part of [this.halo, this.group]) part.style.transform = `translate(${x}px, ${y}px)`;
    const [major, minor, turn] = axes(person.covariance_m2);
    const sigmas = SIGMAS[person.state] * scale;
    this.blur.style.rx = `${Math.max(4, major * sigmas)}px`;
    this.blur.style.ry = `${Math.max(4, minor * sigmas)}px`;
    this.blur.setAttribute("transform", `rotate(${-turn})`);
    const [vx, vy] = person.velocity_m_s;
    const speed = Math.hypot(vx, vy);
    const isMoving = speed > 0.2 && person.track !== null && this.state !== "tentative";
    const reach = isMoving ? (11 + 0.45 * speed * scale) / speed : 0;
    this.tick.setAttribute("x2", vx * reach);
    this.tick.setAttribute("y2", -vy * reach);
    this.initial.textContent = look.initial;
  }

  follow(x, y, t_s, look, scale, isSeen) {
    if (this.points.length && this.points.at(-1).scale !== scale) this.points = []; // the window was resized
    if (isSeen && this.points.at(-1)?.t_s !== t_s) this.points.push({ x, y, t_s, scale });
    this.points = this.points.filter((point) => point.t_s > t_s - TRAIL_S && point.t_s <= t_s);
    const third = Math.ceil(this.points.length / 3);
    this.trail.forEach((line, part) => {
      line.style.setProperty("--c", look.fill);
      line.setAttribute("points", this.points.slice(part * third, (part + 1) * third + 1).map((point) => `${point.x.toFixed(1)},${point.y.toFixed(1)}`).join(" "));
    });
  }

  // The label's text and its width in pixels.
  write(person, look, people) {
    const p = probability(person, people);
    const name = this.isEcho ? "" : person.state === "anonymous" ? guess(person) : look.name;
    const sure = p !== null ? ` ${Math.round(p * 100)} %` : { wireless: " phone", tentative: " phone" }[person.state] ?? "";
    this.label.style.display = name ? "" : "none";
    if (this.name.textContent !== name || this.sure.textContent !== sure) {
      this.name.textContent = name;
      this.sure.textContent = sure;
      this.width = name ? this.name.parentNode.getComputedTextLength() + 14 : 0;
      this.frame.setAttribute("width", this.width);
    }
    return this.width ?? 0;
  }

  remove() {
    for (const part of [this.halo, this.group, this.label, ...this.trail]) part.remove();
  }
}

// Standard deviations along the ellipse's axes in m, and the angle of the longer one in degrees.
function axes([xx, xy, yy]) {
  const middle = (xx + yy) / 2;
  const spread = Math.hypot((xx - yy) / 2, xy);
  return [Math.sqrt(Math.max(0, middle + spread)), Math.sqrt(Math.max(0, middle - spread)), Math.atan2(2 * xy, xx - yy) * 90 / Math.PI];
}
