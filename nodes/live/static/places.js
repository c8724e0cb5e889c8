// Where things go on the plan so that they hide nothing: arithmetic on boxes [left, top, width, height] in pixels.
export const LABEL_PX = 20; // a label's height
const DOT_PX = 11; // half a dot's

export const dotAt = ({ x, y }) => [x - DOT_PX, y - DOT_PX, 2 * DOT_PX, 2 * DOT_PX];

const covers = ([ax, ay, aw, ah]) => ([bx, by, bw, bh]) => ax < bx + bw && bx < ax + aw && ay < by + bh && by < ay + ah;

// The side of {x, y, side} for a label of `width`, and its box: the first side where it covers nothing; the side it had
// goes first, so that it keeps still. Where there is none it rather stands off, leaves the plan of `size` or covers
// another label, than hides where somebody is.
export function labelPlace({ x, y, side: before }, width, size, dots, labels) {
  const [left, above] = [-width / 2, -LABEL_PX];
  const sides = { right: [16, above / 2], left: [-16 - width, above / 2], above: [left, -16 + above], below: [left, 16],
    aboveRight: [10, -14 + above], belowRight: [10, 14], aboveLeft: [-10 - width, -14 + above], belowLeft: [-10 - width, 14],
    farAbove: [left, -40 + above], farBelow: [left, 40], farAboveRight: [10, -40 + above], farBelowRight: [10, 40],
    farAboveLeft: [-10 - width, -40 + above], farBelowLeft: [-10 - width, 40] };
  const box = (side) => [x + sides[side][0], y + sides[side][1], width, LABEL_PX];
  const isInside = ([a, b, w, h]) => a > 2 && a + w < size[0] - 2 && b > 2 && b + h < size[1] - 2;
  const count = (side, boxes) => boxes.filter(covers(box(side))).length;
  const aside = (side) => (isInside(box(side)) ? 0 : 5) + (side.startsWith("far") ? 1 : 0) + (side === before ? 0 : 0.5);
  const cost = (side) => count(side, dots) * 6 + count(side, labels) * 2 + aside(side);
  const names = Object.keys(sides);
  const best = names.reduce((a, b) => (cost(b) < cost(a) ? b : a), names.includes(before) ? before : names[0]);
  return { side: best, box: box(best) };
}

// Where a scale bar of `width` covers none of the sensors' marks: along the bottom, else along the top, from the left.
export function barPlace(size, width, sensors, margin) {
  const isFree = ([x, y]) => sensors.every(([a, b]) => a < x - 14 || a > x + width + 14 || Math.abs(b - y) > 24);
  const places = [];
  for (const y of [size[1] - margin - 14, margin + 14]) {
    for (let x = margin + 34; x + width < size[0] - margin; x += 8) places.push([x, y]);
  }
  return places.find(isFree) ?? [margin + 34, size[1] - margin - 14];
}
