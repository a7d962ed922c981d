// Shows an image for a number of milliseconds, and measures how long it was on the screen.
//
// What is changed in a requestAnimationFrame callback is painted at the end of that frame, and the
// time stamps of two callbacks differ by a whole number of frames: an image that is shown in the
// callback at t0 and covered in the callback at t1 was on the screen for t1 - t0.

const CROSS = 500; // ms for which the cross is shown before a timed image
const USUAL_FRAME = 1000 / 60; // ms

const frame = () => new Promise((done) => requestAnimationFrame(done));

/** Waits for some time and returns [time stamp, typical length of a frame], in ms. */
async function settle(ms) {
  const first = await frame();
  const lengths = [];
  let last = first;
  while (last - first < ms) {
    const now = await frame();
    lengths.push(now - last);
    last = now;
  }
  lengths.sort((a, b) => a - b);
  return [last, lengths[lengths.length >> 1] || USUAL_FRAME];
}

/** Waits until `ms` have passed since `start`, to the nearest frame. Returns the time stamp. */
async function until(start, ms, length) {
  for (;;) {
    const now = await frame();
    if (now - start >= ms - length / 2) return now;
  }
}

/** Shows one part of the stage, and hides the others. */
function only(stage, part) {
  for (const child of stage.children) child.classList.toggle("hidden", child !== part);
}

/** Shows what is to be judged without a limit. Returns the time stamp of its first frame. */
export async function showAll(stage, shown) {
  const now = await frame();
  only(stage, shown);
  return now;
}

/**
 * Shows the cross, the image for `ms`, then each mask for `maskMs`.
 * Returns [time stamp of the first frame of the image, measured exposure in ms].
 */
export async function flash(stage, cross, shown, masks, ms, maskMs) {
  only(stage, cross);
  const [, length] = await settle(CROSS);
  const start = await frame();
  only(stage, shown);
  let last = await until(start, ms, length);
  const end = last;
  for (const mask of masks) {
    only(stage, mask);
    last = await until(last, maskMs, length);
  }
  only(stage, null);
  return [start, end - start];
}
