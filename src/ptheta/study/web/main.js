// The page of a participant: welcome, tutorial, questions, breaks, thanks.
//
// The server knows where a person is. The page shows the state that it was given last, and asks
// for it anew whenever it is loaded or comes back.

import { flash, showAll } from "./show.js";
import { make, notice, paragraphs, put, say, Words } from "./parts.js";
import { fetched, load, Refused, send } from "./talk.js";

const about = JSON.parse(document.body.dataset.about);
const TWO = about.protocol === "2afc" || about.protocol === "pairs";
const RATING = about.protocol === "rating";
const ANSWERS = TWO ? ["left", "right"] : RATING ? ["1", "2", "3", "4", "5"] : ["real", "fake"];
const SMALL = 128; // pixels: smaller images are enlarged without smoothing
const PHASES = ["practice", "qualification", "main"];
const UNWANTED = 300; // ms in which a click is the second one of a double click on the page before
const NO_CONNECTION = "No connection. Trying again …"; // where there are no words yet

let words;
let masks = [];
let keys = null; // what a key does now
// Chosen here, so that a request to join that is sent twice makes one person.
const joinKey = Array.from(crypto.getRandomValues(new Uint8Array(24)),
  (byte) => byte.toString(16).padStart(2, "0")).join("");
let turn = 0; // counts pages: what an older page was waiting for is dropped

const text = (key, values) => words.get(key, values);
const lost = (is) => notice(is ? text("lost") : "");
const button = (label, act, attributes = {}) =>
  make("button", { type: "button", onclick: act, ...attributes }, label);

document.addEventListener("keydown", (event) => {
  if (!keys || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = keys[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

// A page that comes back from the cache of the browser may be of an earlier question.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) begin();
});

async function begin() {
  turn += 1;
  keys = null;
  try {
    const state = await send("api/open", {}, lost);
    if (state.step === "welcome") welcome();
    else follow(state, true);
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  turn += 1;
  keys = null;
  if (error instanceof Refused && error.code === "tab") {
    put(
      make("h1", {}, text("other-tab")),
      make("p", {}, text("other-tab-about")),
      button(text("here"), begin, { class: "go" }),
    );
  } else if (error instanceof Refused && (error.code === "trial" || error.code === "image")) {
    begin();
  } else {
    put(
      make("h1", {}, text("error")),
      make("p", {}, text("error-other", { text: error.message })),
      button(text("again"), begin, { class: "go" }),
    );
  }
}

// -- pages without a question

function setLanguage(code) {
  words = new Words(words.all, code);
  document.documentElement.lang = code;
  document.title = text("title");
}

function languages() {
  const choice = make("select", { id: "language", onchange: () => {
    const kept = document.getElementById("name").value;
    setLanguage(choice.value);
    welcome(kept);
    document.getElementById("language").focus();
  } });
  for (const [code, name] of Object.entries(about.languages)) {
    choice.append(make("option", { value: code, lang: code, selected: code === words.language }, name));
  }
  return make("p", { class: "field" },
    make("label", { for: "language" }, text("language-label")), choice);
}

function welcome(name = "") {
  const field = make("input", {
    id: "name", type: "text", maxlength: 40, autocomplete: "off", spellcheck: "false",
    required: true, value: name, "aria-describedby": "name-help fault",
  });
  const agree = make("input", { id: "agree", type: "checkbox", required: true });
  const fault = make("p", { id: "fault", class: "fault", role: "alert" });
  const total = PHASES.reduce((sum, phase) => sum + (about.counts[phase] ?? 0), 0);
  const form = make("form", { novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    join(field, agree, fault);
  } },
    Object.keys(about.languages).length > 1 ? languages() : "",
    make("h2", {}, text("consent-title")),
    ...paragraphs(about.consent || text("consent")),
    make("p", { class: "tick" }, agree, make("label", { for: "agree" }, text("agree"))),
    make("p", { class: "field" }, make("label", { for: "name" }, text("name")), field,
      make("small", { id: "name-help" }, text("name-help"))),
    fault,
    make("button", { type: "submit", class: "go" }, text("begin")));
  put(
    make("p", { class: "study" }, about.name),
    make("h1", {}, text(RATING || about.protocol === "pairs" ? "title" : "welcome")),
    make("p", { class: "lead" }, text(`about-${about.protocol}`)),
    make("p", {}, text("length", { n: total })),
    form,
  );
}

async function join(field, agree, fault) {
  if (!agree.checked) {
    fault.textContent = text("error-consent");
    agree.focus();
    return;
  }
  const body = { name: field.value, consent: true, language: words.language, key: joinKey };
  try {
    follow(await send("api/join", body, lost), true);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const known = error.code === "taken" || error.code === "name";
    fault.textContent = known
      ? text(`error-${error.code}`) : text("error-other", { text: error.message });
    field.focus();
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** A page with one button, which Enter presses, too. */
function stop(title, parts, next, label = "go-on") {
  const since = performance.now();
  const go = () => {
    if (performance.now() - since >= UNWANTED) next();
  };
  put(make("div", { class: "stop" }, make("h1", {}, title), ...parts,
    button(text(label), go, { class: "go" })));
  keys = { Enter: go };
}

async function tutorial(state, next) {
  const mine = turn;
  const keysUsed = text(RATING ? "keys-five" : "keys-two");
  const parts = [
    make("p", { class: "lead" }, text(`about-${about.protocol}`)),
    make("p", {}, text("keys", { keys: keysUsed })),
    ...(about.protocol === "hype-time" ? [make("p", {}, text("flash"))] : []),
    make("p", {}, text("steps")),
  ];
  if (state.examples.length) {
    const images = await load(state.examples.map((one) => one.image), lost);
    if (mine !== turn) return;
    const figures = images.map((image, i) => {
      const label = text(`example-${state.examples[i].is}`);
      return make("figure", {}, dressed(image, label), make("figcaption", {}, label));
    });
    parts.push(make("h2", {}, text("examples")), make("div", { class: "examples" }, ...figures));
  }
  stop(text("tutorial"), parts, next);
}

function phaseBegins(state) {
  const free = about.protocol === "pairs" || RATING;
  const key = state.phase === "practice" && free ? "practice-about-free" : `${state.phase}-about`;
  const values = { n: state.of, share: Math.round(100 * about.least_correct) };
  stop(text(state.phase), [make("p", { class: "lead" }, text(key, values))], () => ask(state));
}

/** Shows the page of a state. fresh: whether the page was loaded, not answered on. */
function follow(state, fresh = false) {
  turn += 1;
  keys = null;
  if (state.language && state.language !== words.language) setLanguage(state.language);
  if (state.step === "done") return done(state);
  if (state.step === "failed") {
    return put(make("h1", {}, text("failed")), make("p", {}, text("failed-about")), code(state),
      another());
  }
  const starts = state.number === 1;
  if (state.trial === 0) return tutorial(state, () => phaseBegins(state)).catch(failed);
  if (starts) return phaseBegins(state);
  if (state.rest) {
    const values = { number: state.number - 1, of: state.of };
    return stop(text("rest"), [make("p", { class: "lead" }, text("rest-about", values))],
      () => ask(state));
  }
  // After a reload nobody is looking at a cross yet.
  if (fresh && state.asked_ms !== null) return phaseBegins(state);
  return ask(state);
}

/** For the next person at this computer. */
const another = () => make("p", { class: "another" }, button(text("another"), async () => {
  try {
    await send("api/leave", {}, lost);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  location.reload(); // which chooses a new key, too
}));

const code = (state) =>
  make("p", {}, `${text("code")}: `, make("code", { id: "code" }, state.code));

function done(state) {
  const lines = [];
  if (state.right !== null) {
    const share = state.of ? Math.round((100 * state.right) / state.of) : 0;
    lines.push(text("result-right", { right: state.right, of: state.of, share }));
  } else {
    lines.push(text("result-answers", { answers: state.answers }));
  }
  if (state.repeats) {
    lines.push(text("result-same", { same: state.same, repeats: state.repeats }));
  }
  put(
    make("h1", {}, text("done")),
    make("p", { class: "lead" }, text("done-about")),
    make("h2", {}, text("result")),
    ...lines.map((line) => make("p", {}, line)),
    code(state),
    another(),
  );
}

// -- a question

function dressed(image, label) {
  image.alt = label;
  image.width = about.width;
  image.height = about.height;
  image.draggable = false;
  image.classList.toggle("pixels", Math.max(about.width, about.height) < SMALL);
  return image;
}

function question() {
  if (TWO) return text(`question-${about.protocol}`);
  return text(RATING ? "question-rating" : "question-one");
}

function answerButtons(choose) {
  return ANSWERS.map((answer, i) => {
    const label = RATING
      ? [make("b", {}, answer), " ", make("span", {}, text(`rate-${answer}`))]
      : [make("span", {}, text(answer))];
    const arrow = make("kbd", { "aria-hidden": "true" }, i === 0 ? "←" : "→");
    if (!RATING) label.splice(i, 0, arrow);
    const made = make("button", { type: "button", "data-answer": answer, "aria-disabled": "true",
      onclick: () => choose(answer) }, ...label);
    return made;
  });
}

function keysFor(choose) {
  const found = {};
  ANSWERS.forEach((answer, i) => { found[String(i + 1)] = () => choose(answer); });
  if (!RATING) {
    found.ArrowLeft = () => choose(ANSWERS[0]);
    found.ArrowRight = () => choose(ANSWERS[1]);
  }
  return found;
}

/** The page of one question: its stage is empty until the images are there. */
function questionPage(state, choose) {
  const values = { phase: text(state.phase), number: state.number, of: state.of };
  const line = text("progress", values);
  const stage = make("div", { class: TWO ? "stage two" : "stage", id: "stage" });
  stage.style.setProperty("--ratio", String(about.width / about.height));
  const buttons = answerButtons(choose);
  put(
    make("div", { class: "top" },
      make("progress", { max: state.of, value: state.number - 1, "aria-label": line }),
      make("p", { class: "count" }, line)),
    make("h1", { class: "question" }, question()),
    stage,
    make("div", { class: RATING ? "answers five" : "answers", role: "group",
      "aria-label": question() }, ...buttons),
    make("div", { id: "after" }),
  );
  return { stage, buttons, line };
}

function shownParts(images) {
  if (!TWO) return make("div", { class: "shown hidden" }, dressed(images[0], text("image")));
  return make("div", { class: "shown hidden" },
    dressed(images[0], text("image-left")), dressed(images[1], text("image-right")));
}

async function ask(state) {
  turn += 1;
  const mine = turn;
  let choose = () => {};
  const page = questionPage(state, (answer) => choose(answer));
  say(`${page.line}. ${text("loading")}`);
  let start, exposure;
  try {
    const images = await load(state.images, lost);
    if (state.asked_ms !== null && masks.length < about.masks) await loadMasks();
    if (mine !== turn) return;
    [start, exposure] = await present(page.stage, shownParts(images), state.asked_ms);
  } catch (error) {
    if (mine === turn) failed(error);
    return;
  }
  if (exposure === null) await pause(UNWANTED);
  if (mine !== turn) return;
  const answer = await new Promise((chosen) => {
    choose = chosen; // the first choice counts: a promise is kept once
    keys = keysFor(chosen);
    for (const one of page.buttons) one.setAttribute("aria-disabled", "false");
    say(`${page.line}. ${text("answer-now")}`);
  });
  const response = performance.now() - start;
  keys = null;
  for (const one of page.buttons) {
    one.setAttribute("aria-disabled", "true");
    one.classList.toggle("chosen", one.dataset.answer === answer);
  }
  const body = {
    tab: state.tab,
    trial: state.trial,
    answer,
    shown_ms: Math.max(0, exposure ?? response),
    response_ms: Math.max(0, response),
  };
  try {
    const next = await send("api/answer", body, lost);
    if (mine !== turn) return;
    if (next.feedback) feedback(next);
    else follow(next);
  } catch (error) {
    if (mine === turn) failed(error);
  }
}

async function loadMasks() {
  const addresses = Array.from({ length: about.masks }, (_, i) => `mask/${i}`);
  masks = (await load(addresses, lost)).map((image) => dressed(image, ""));
}

/** Returns [time stamp of the first frame, exposure in ms, null where it ends with the answer]. */
async function present(stage, shown, ms) {
  if (ms === null) {
    stage.append(shown);
    return [await showAll(stage, shown), null];
  }
  const cross = make("div", { class: "cross", "aria-hidden": "true" }, "+");
  const covers = masks.map((mask) => make("div", { class: "shown hidden" }, mask));
  stage.append(cross, shown, ...covers);
  say(text("look"));
  const found = await flash(stage, cross, shown, covers, ms, about.mask_ms);
  shown.remove(); // what has been shown cannot be looked at again
  return found;
}

function feedback(state) {
  const { right, truth } = state.feedback;
  const truths = { right: "feedback-right-side" };
  const line = `${text(right ? "feedback-right" : "feedback-wrong")} `
    + text(truths[truth] ?? `feedback-${truth}`);
  const after = document.getElementById("after");
  const go = button(text("go-on"), () => follow(state), { class: "go" });
  after.replaceChildren(
    make("p", { class: right ? "told right" : "told wrong" }, line), go);
  say(line);
  go.focus();
}

async function prepare() {
  const all = await fetched("static/words.json", (is) => notice(is ? NO_CONNECTION : ""));
  words = new Words(all, about.language);
  setLanguage(about.language);
  await begin();
}

prepare();
