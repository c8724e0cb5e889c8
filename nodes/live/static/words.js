// Small words of the page: making elements, ages, colours of people.

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

// Replace a list's rows, but only those that changed, so that hovering and selecting text survive.
export function draw(list, rows) {
  rows.forEach((row, place) => {
    const old = list.children[place];
    if (!old) list.append(row);
    else if (!old.isEqualNode(row)) old.replaceWith(row);
  });
  while (list.children.length > rows.length) list.lastChild.remove();
}

export function age(seconds) {
  const s = Math.max(0, seconds);
  if (s < 90) return `${Math.round(s)} s`;
  return s < 5400 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

// The name an anonymous body most probably has, "" while that is nobody we know.
export function guess(person) {
  const best = person.candidates[0]?.[0];
  return person.state === "anonymous" && best !== undefined && best !== "unknown" ? best : "";
}

// The anonymous body that most probably is this tentative identity, or undefined.
export function likelyBody(person, people) {
  if (person.state !== "tentative") return undefined;
  return people.filter((one) => guess(one) === person.id).sort((a, b) => b.candidates[0][1] - a.candidates[0][1])[0];
}

// How sure the shown name is of this body: null for a phone that is on none.
export function probability(person, people) {
  if (person.state === "confirmed") return person.candidates.find(([name]) => name === person.id)?.[1] ?? null;
  if (person.state === "tentative") return likelyBody(person, people)?.candidates[0][1] ?? null;
  return guess(person) ? person.candidates[0][1] : null;
}

export const isBody = (person) => person.state === "confirmed" || person.state === "anonymous";

// A body that no sensor has seen lately: it is where it was heading, growing less sure.
export const isOutOfSight = (person) => isBody(person) && !person.sources.length;

// ["sniffer-1", "sniffer-2", "door"] -> "sniffer-1, 2, door"
export function listed(sources) {
  let before = "";
  return sources.map((source) => {
    const [, stem, number] = source.match(/^(.*-)(\d+)$/) ?? [null, null, null];
    const said = stem && stem === before ? number : source;
    before = stem ?? "";
    return said;
  }).join(", ");
}

// Okabe and Ito's palette, which people with any colour vision tell apart, dark enough first; initials say it again.
const PALETTE = [["#0072b2", "#3a9fe3", "#fff"], ["#d55e00", "#ee7a22", "#fff"], ["#008a64", "#1fbf93", "#fff"], ["#cc79a7", "#dd92bb", "#17202b"], ["#e69f00", "#f0b032", "#17202b"], ["#56b4e9", "#7cc8f2", "#17202b"], ["#7c5bcf", "#a58bec", "#fff"], ["#8a7228", "#c2a94e", "#fff"]]; // on light, on dark, initial on light

class Colours {
  #places = new Map();

  enrol(names) { names.forEach((name) => this.#place(name)); }

  of(person) {
    const number = person.track ?? person.id.replace(/\D+/g, "");
    const likely = guess(person) || (person.state === "anonymous" ? "" : person.id);
    const name = person.state === "anonymous" ? `Body ${number}` : person.id;
    if (!likely) return { fill: "var(--grey)", on: "light-dark(#fff, #11161d)", initial: String(number), name };
    const [light, dark, on] = PALETTE[this.#place(likely) % PALETTE.length];
    const initial = [...likely][0].toUpperCase() + (likely === name ? "" : "?");
    return { fill: `light-dark(${light}, ${dark})`, on: `light-dark(${on}, #0d1117)`, initial, name };
  }

  #place(name) {
    if (!this.#places.has(name)) this.#places.set(name, this.#places.size);
    return this.#places.get(name);
  }
}

export const colours = new Colours();
