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

// How sure the shown name is: the identity's own probability, or the best guess for a body without a name.
export function probability(person) {
  const own = person.candidates.find(([name]) => name === person.id);
  if (own && person.state !== "anonymous") return own[1];
  const best = person.candidates[0];
  return person.state === "anonymous" && best && best[0] !== "unknown" ? best[1] : null;
}

// Okabe and Ito's palette, which people with any colour vision tell apart, dark enough first; initials say it again.
const PALETTE = [["#0072b2", "#3a9fe3", "#fff"], ["#d55e00", "#ee7a22", "#fff"], ["#008a64", "#1fbf93", "#fff"], ["#cc79a7", "#dd92bb", "#17202b"], ["#e69f00", "#f0b032", "#17202b"], ["#56b4e9", "#7cc8f2", "#17202b"], ["#7c5bcf", "#a58bec", "#fff"], ["#8a7228", "#c2a94e", "#fff"]]; // on light, on dark, initial on light

class Colours {
  #places = new Map();

  enrol(names) { names.forEach((name) => this.#place(name)); }

  of(person) {
    if (person.state === "anonymous") {
      const number = person.track ?? person.id.replace(/\D+/g, "");
      return { fill: "var(--grey)", on: "light-dark(#fff, #11161d)", initial: String(number), name: `Body ${number}` };
    }
    const [light, dark, on] = PALETTE[this.#place(person.id) % PALETTE.length];
    return { fill: `light-dark(${light}, ${dark})`, on: `light-dark(${on}, #0d1117)`, initial: [...person.id][0].toUpperCase(), name: person.id };
  }

  #place(name) {
    if (!this.#places.has(name)) this.#places.set(name, this.#places.size);
    return this.#places.get(name);
  }
}

export const colours = new Colours();
