// The page's state and its lists. It listens on /live, keeps the last of everything, and draws it again as it comes;
// plan.js draws the floor. Names are only ever set as text.
import { Plan } from "./plan.js";
import { age, colours, draw, element, guess, isOutOfSight, likelyBody, listed, probability } from "./words.js";

const QUIET_S = 3.5; // a process that says nothing for longer is shown as silent
const KEPT_EVENTS = 60;
const get = (id) => document.getElementById(id);
const plan = new Plan(get("plan"));
const state = { site: null, scene: null, health: new Map(), events: new Map(), clock_ms: 0, open: false, retry_s: 0, scenes: [], chosen: null, simulated: [], unplugged: [] };
const now_ms = () => Date.now() + state.clock_ms;

const handlers = {
  hello(message) { state.clock_ms = message.now_ms - Date.now(); },
  site(message) {
    state.site = message;
    get("site").textContent = message.name;
    document.title = `${message.name} · whowhere`;
    get("truth-switch").hidden = !message.simulated;
    colours.enrol(message.identities);
    plan.setSite(message);
  },
  scene(message) {
    state.scene = message;
    state.scenes = [...state.scenes.filter((t) => t > performance.now() - 5000), performance.now()];
    plan.setPeople(message.people, message.t_ns / 1e9, state.chosen);
    showPeople(message);
  },
  truth(message) { plan.setTruth(get("truth").checked ? message : null); },
  cables(message) { Object.assign(state, { simulated: message.simulated, unplugged: message.unplugged }); showHealth(); },
  health(message) { state.health.set(message.source, message); },
  event(message) {
    state.events.set(`${message.t_ns}/${message.seq}/${message.type}`, message);
    showEvents();
  },
};

function connect() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  let heard = performance.now();
  const watch = setInterval(() => { if (performance.now() - heard > 8000) socket.close(); }, 1000);
  socket.onopen = () => { state.open = true; state.retry_s = 0; };
  socket.onmessage = ({ data }) => {
    heard = performance.now();
    const message = JSON.parse(data);
    handlers[message.kind]?.(message);
  };
  socket.onclose = () => {
    clearInterval(watch);
    state.open = false;
    state.retry_s = Math.min(5, state.retry_s + 0.5);
    setTimeout(connect, state.retry_s * 1000);
    showStatus();
  };
}

function showStatus() {
  const line = get("status");
  const scene_s = state.scene ? (now_ms() - state.scene.t_ns / 1e6) / 1000 : null;
  const say = (kind, text) => { line.className = `status ${kind}`; line.textContent = text; };
  const stale = !state.open || scene_s === null || scene_s > 3;
  document.body.classList.toggle("stale", stale);
  if (!state.open) return say("lost", "The page's process is away; trying again");
  if (scene_s === null) return say("waiting", "Waiting for the first scene from fusion");
  if (stale) return say("lost", `No news from fusion for ${age(scene_s)}`);
  const span_s = (state.scenes.at(-1) - state.scenes[0]) / 1000;
  const rate = span_s > 0.5 ? `${((state.scenes.length - 1) / span_s).toFixed(1)} scenes/s` : "";
  const dropped = [...state.health.values()].reduce((sum, health) => sum + lost(health), 0);
  say("live", ["Live", rate, `${scene_s.toFixed(1)} s behind the world`, dropped ? `${dropped} messages dropped` : "nothing dropped"].filter(Boolean).join(" · "));
}

function showPeople({ people, t_ns }) {
  const rank = { confirmed: 0, tentative: 1, wireless: 2, anonymous: 3 };
  const taken = new Set(people.map((person) => likelyBody(person, people)?.id)); // said in the identity's own row
  const hidden = people.filter((person) => person.state === "anonymous" && isOutOfSight(person) && !taken.has(person.id)).length;
  const shown = people.filter((person) => person.state !== "anonymous" || !(isOutOfSight(person) || taken.has(person.id)));
  shown.sort((a, b) => rank[a.state] - rank[b.state] || a.id.localeCompare(b.id, undefined, { numeric: true }));
  const count = (state, has = () => true) => shown.filter((person) => person.state === state && has(person)).length;
  const isLikely = (person) => likelyBody(person, people);
  const parts = [[count("confirmed"), "named"], [count("tentative", isLikely), "probably named"], [count("wireless") + count("tentative", (person) => !isLikely(person)), "by phone only"], [count("anonymous"), "without a name"], [hidden, "out of sight"]];
  get("summary").textContent = parts.filter(([n]) => n).map(([n, text]) => `${n} ${text}`).join(", ") || "Nobody is here";
  const rows = shown.map((person) => personRow(person, people, t_ns));
  if (hidden) rows.push(element("li", "empty", `${hidden} further bod${hidden === 1 ? "y" : "ies"} out of sight`));
  draw(get("people"), rows.length ? rows : [element("li", "empty", "Nobody")]);
}

function personRow(person, people, t_ns) {
  const look = colours.of(person);
  const row = element("li", "person-row");
  row.style.cssText = `--c:${look.fill};--on:${look.on}`;
  row.onpointerenter = () => { state.chosen = person.id; };
  row.onpointerleave = () => { state.chosen = null; };
  const who = element("span", "who", look.name);
  const body = likelyBody(person, people);
  const said = {
    confirmed: isOutOfSight(person) ? "out of sight" : "",
    tentative: body ? `probably body ${body.track ?? body.id}` : "not sure which body",
    wireless: "phone only",
    anonymous: guess(person) ? `maybe ${guess(person)}` : "",
  }[person.state];
  if (said) who.append(element("span", "state", ` ${said}`));
  const p = probability(person, people);
  const sure = element("span", "sure");
  if (p !== null) {
    const bar = element("span", "sure-bar");
    bar.append(element("i"));
    bar.firstChild.style.width = `${Math.round(p * 100)}%`;
    sure.append(bar, `${Math.round(p * 100)} %`);
  }
  const [xx, , yy] = person.covariance_m2;
  const where = `(${person.x_m.toFixed(1)}, ${person.y_m.toFixed(1)}) ± ${Math.sqrt((xx + yy) / 2).toFixed(1)} m`;
  const since = `for ${age((t_ns - person.since_ns) / 1e9)}`;
  const more = element("span", "more", [where, listed(person.sources), since].filter(Boolean).map((part) => part.replace(/(\d|for|±) /g, "$1\u00a0")).join(" · "));
  row.append(element("span", `badge ${person.state}`, look.initial), who, sure, more);
  return row;
}

function showHealth() {
  const sensors = new Map((state.site?.sensors ?? []).map((sensor) => [sensor.id, sensor]));
  const marks = {};
  const rows = [...sensors.keys()].map((id) => {
    const [kind, row] = healthRow(id, state.health.get(id), true);
    marks[id] = kind;
    return row;
  });
  draw(get("sensors"), rows);
  plan.setSensors(marks);
  const others = [...state.health.values()].filter((health) => !sensors.has(health.source)).sort((a, b) => a.source.localeCompare(b.source));
  const found = others.map((health) => healthRow(health.source, health));
  draw(get("processes"), found.map(([, row]) => row));
  const memory = [...state.health.values()].reduce((sum, health) => sum + (health.memory_mb ?? 0), 0);
  const ill = found.filter(([kind]) => kind !== "ok").length;
  get("processes-line").textContent = `${others.length} further processes${ill ? `, ${ill} not well` : ""}${memory ? ` · ${Math.round(memory)} MB in all` : ""}`;
}

function healthRow(id, health, isSensor = false) {
  const silent_s = health ? (now_ms() - health.t_ns / 1e6) / 1000 : null;
  let kind = "begin", mark = "…", figures = "no word yet", detail = "";
  if (health && !state.open) figures = "not known";
  else if (health) {
    const isQuiet = silent_s > QUIET_S;
    const isEmpty = isSensor && health.state === "ok" && !health.rate_hz; // its process is well, but nothing comes
    kind = isQuiet || isEmpty ? "off" : { ok: "ok", starting: "begin" }[health.state] ?? "off";
    mark = { ok: "✓", off: "✕", begin: "…" }[kind];
    const drops = lost(health);
    figures = isQuiet ? `silent for ${age(silent_s)}` : isEmpty ? "nothing comes" : kind === "ok"
      ? [`${health.rate_hz.toFixed(1)}/s`, `${health.lag_s.toFixed(2)} s`, drops ? `${drops} lost` : ""].filter(Boolean).join(" · ") : health.state;
    detail = health.detail;
  }
  const row = element("li", kind);
  row.append(element("span", "mark", mark), element("span", "", id), element("span", "figures", figures));
  if (state.simulated.includes(id)) row.append(cableButton(id));
  if (detail) row.append(element("span", "detail", detail));
  return [kind, row];
}

// Only simulated sensors have one: pull the cable, and watch the others carry on.
function cableButton(sensor) {
  const unplugged = state.unplugged.includes(sensor);
  const button = element("button", unplugged ? "cable pulled" : "cable", unplugged ? "plug in" : "unplug");
  button.type = "button";
  button.title = `${unplugged ? "Plug in" : "Pull"} the simulated cable of ${sensor}`;
  button.onclick = () => fetch("api/fault", { method: "POST", body: JSON.stringify({ sensor, unplugged: !unplugged }) });
  return button;
}

const lost = (health) => Object.entries(health.counters).reduce((sum, [name, n]) => sum + (name.includes("drop") ? n : 0), 0);

function showEvents() {
  const recent = [...state.events.entries()].sort((a, b) => b[1].t_ns - a[1].t_ns).slice(0, KEPT_EVENTS);
  state.events = new Map(recent);
  const signs = { enter: "→", leave: "←", confirm: "✓", revise: "↻", started: "▸", warning: "!" };
  draw(get("events"), recent.map(([, event]) => {
    const row = element("li", event.type);
    row.append(element("time", "", new Date(event.t_ns / 1e6).toLocaleTimeString([], { hour12: false })), element("span", "", signs[event.type] ?? "·"), element("span", "", sentence(event)));
    return row;
  }));
}

function sentence(event) {
  const body = event.track === null || event.track === undefined ? "" : `body ${event.track}`;
  const plain = (id) => id?.replace(/^anon-/, "body ");
  const who = plain(event.id) || body || "somebody";
  const wasNamed = event.was && !event.was.startsWith("anon-") && event.was !== event.id;
  const said = {
    enter: `${who} came in`,
    leave: `${who} left`,
    confirm: `${body || "a body"} is ${event.id}${wasNamed ? `, until now ${event.was}` : ""}`,
    revise: `corrected: ${body || "a body"} is ${plain(event.id) || "nobody we know"}${wasNamed ? `, not ${event.was}` : ""}`,
    started: "fusion started",
    warning: "warning",
  }[event.type] ?? event.type;
  return event.text && ["started", "warning"].includes(event.type) ? event.text : said;
}

get("truth").onchange = () => { if (!get("truth").checked) plan.setTruth(null); };
get("theme").onclick = () => {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  setTheme(isDark ? "light" : "dark");
};
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("whowhere-theme", theme); } catch { /* private mode: it is forgotten */ }
}
try { const kept = localStorage.getItem("whowhere-theme"); if (kept) setTheme(kept); } catch { /* as above */ }

connect();
setInterval(() => { showStatus(); showHealth(); }, 500);
