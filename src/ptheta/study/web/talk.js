// Requests to the server. An answer is sent until the server has said that it is stored.

const FIRST_WAIT = 500; // ms before a request is sent again; doubled each time
const LONGEST_WAIT = 8000;
const PATIENCE = 15000; // ms after which a request counts as lost

/** A request that the server has refused, and will refuse again. */
export class Refused extends Error {
  constructor(status, code, text) {
    super(text);
    this.status = status;
    this.code = code;
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function once(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
    signal: AbortSignal.timeout(PATIENCE),
  });
  const said = await response.json();
  if (!response.ok) throw new Refused(response.status, said.error, said.text);
  return said;
}

/** Sends a request until it is answered. lost(true) is called while there is no connection. */
export async function send(path, body, lost) {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      const said = await once(path, body);
      lost(false);
      return said;
    } catch (error) {
      if (error instanceof Refused && error.status < 500) {
        lost(false);
        throw error;
      }
      lost(true);
      await pause(wait);
    }
  }
}

/** What a file of the pages holds, as JSON. */
export async function fetched(address, lost) {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(PATIENCE) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const said = await response.json();
      lost(false);
      return said;
    } catch {
      lost(true);
      await pause(wait);
    }
  }
}

/** The images at these addresses, fully loaded and decoded. */
export async function load(addresses, lost) {
  return Promise.all(addresses.map((address) => loadOne(address, lost)));
}

async function loadOne(address, lost) {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(PATIENCE) });
      if (!response.ok && response.status < 500) throw new Refused(response.status, "image", "");
      if (!response.ok) throw new Error(`status ${response.status}`);
      const image = new Image();
      image.src = URL.createObjectURL(await response.blob());
      await image.decode();
      URL.revokeObjectURL(image.src);
      lost(false);
      return image;
    } catch (error) {
      if (error instanceof Refused) throw error;
      lost(true);
      await pause(wait);
    }
  }
}
