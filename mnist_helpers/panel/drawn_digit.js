// A drawn digit made into a picture such as MNIST holds: fitted into a box of 20 × 20, and moved by whole pixels until
// its centre of mass is in the middle of 28 × 28.

const SIDE = 28, BOX = 20;
const PEN = 2.6; // width of the pen, in pixels, about that of MNIST's
const FINER = 4; // each pixel is the mean of so many samples by so many, for smooth edges

// Strokes of points [x, y], y downwards, in any unit, scaled before they are drawn, so that the pen is as wide for a
// small drawing as for a large one; gives 784 grey values, 0 without ink to 255.
export function pictureOf(strokes) {
  const points = strokes.flat();
  if (!points.length) return new Uint8Array(SIDE * SIDE);
  const extent = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  const largest = Math.max(...extent.map(([low, high]) => high - low));
  const scale = largest ? (BOX - PEN) / largest : 0; // a dot stays a dot
  const middle = extent.map(([low, high]) => (low + high) / 2);
  const fitted = strokes.map((stroke) => stroke.map((point) => point.map((value, axis) => (value - middle[axis]) * scale + SIDE / 2)));
  return centred(inked(fitted));
}

// How much of each pixel is within half a pen's width of a stroke. Counted here rather than read back from a canvas,
// which some browsers disturb to keep pages from telling their readers apart.
function inked(strokes) {
  const side = SIDE * FINER;
  const samples = new Uint8Array(side * side);
  const radius = (PEN / 2) * FINER;
  for (const stroke of strokes)
    for (let i = 0; i < stroke.length; i++) {
      const [[x0, y0], [x1, y1]] = [stroke[Math.max(0, i - 1)], stroke[i]].map((point) => point.map((value) => value * FINER));
      const [dx, dy] = [x1 - x0, y1 - y0], length = dx * dx + dy * dy || 1;
      const [left, right] = [Math.min(x0, x1) - radius, Math.max(x0, x1) + radius].map(bound);
      const [top, bottom] = [Math.min(y0, y1) - radius, Math.max(y0, y1) + radius].map(bound);
      for (let row = top; row < bottom; row++)
        for (let column = left; column < right; column++) {
          const [x, y] = [column + 0.5 - x0, row + 0.5 - y0];
          const along = Math.max(0, Math.min(1, (x * dx + y * dy) / length));
          if (Math.hypot(x - along * dx, y - along * dy) <= radius) samples[row * side + column] = 1;
        }
    }
  const picture = new Uint8Array(SIDE * SIDE);
  const counts = new Uint16Array(SIDE * SIDE);
  samples.forEach((sample, place) => {
    counts[Math.floor(Math.floor(place / side) / FINER) * SIDE + Math.floor((place % side) / FINER)] += sample;
  });
  counts.forEach((count, place) => (picture[place] = Math.round((255 * count) / FINER ** 2)));
  return picture;
}

const bound = (value) => Math.max(0, Math.min(SIDE * FINER, Math.ceil(value)));

// Where that would move ink out of the picture, it stops at the edge.
function centred(picture) {
  const [down, right] = [0, 1].map((axis) => {
    const mass = new Array(SIDE).fill(0);
    picture.forEach((value, place) => (mass[axis ? place % SIDE : Math.floor(place / SIDE)] += value));
    const total = mass.reduce((sum, value) => sum + value, 0);
    const centre = mass.reduce((sum, value, i) => sum + value * i, 0) / total;
    const inkedAt = mass.flatMap((value, i) => (value ? [i] : []));
    return Math.max(-inkedAt[0], Math.min(SIDE - 1 - inkedAt.at(-1), Math.round(SIDE / 2 - centre)));
  });
  const moved = new Uint8Array(SIDE * SIDE);
  picture.forEach((value, place) => value && (moved[place + SIDE * down + right] = value));
  return moved;
}
