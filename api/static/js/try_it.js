// Trying the network of a finished search on an image of one's own: it stays in the browser, which computes the prediction.

import * as api from "./api.js";
import { h, replace } from "./dom.js";
import * as format from "./format.js";
import { doubt } from "./not_sure.js";

const FORMATS = ["onnx", "onnx-uint8", "onnx-int8"]; // the first that is there is used

/** {parts, stop} of a search: what is shown, and what ends the work of it; null if it has no ONNX file. */
export function tryIt(search) {
  const found = FORMATS.find((name) => search.result?.files[name]);
  if (!found) return null;
  const address = new URL(api.address(`${search.links.checkpoint}&format=${found}`), location.href).href;
  const said = h("p", { class: "hint", role: "status" });
  const shown = h("div", { class: "prediction" });
  const predictor = predictions(address);
  const size = search.result.files[found].size_bytes;

  async function show(file) {
    replace(said, predictor.isOpen() ? "Computing…" : `Loading the network (${format.bytes(size)}) and what computes it (14 MB), once…`);
    try {
      const { isInstalled, install } = await api.getPageRuntime();
      if (!isInstalled) {
        replace(said, "What computes predictions is not installed on this service; ", h("code", {}, install), " installs it.");
        return;
      }
      const answer = await predictor.predict(file);
      if (answer) {
        replace(said, words(answer, search.result.not_sure));
        replace(shown, picture(answer), classes(answer));
      }
    } catch (problem) {
      replace(said, h("span", { class: "problem" }, problem.message));
      replace(shown);
    }
  }

  return { parts: [h("h2", {}, "Try it"), chooser(show), said, shown], stop: predictor.stop };
}

/** A place for an image: chosen, photographed or dropped. */
function chooser(show) {
  const input = (label, name, attributes) =>
    h("label", { class: name }, label, h("input", { type: "file", accept: "image/*", ...attributes, onchange: ({ target }) => target.files.length && show(target.files[0]) }));
  const place = h("div", { class: "drop", ondragover, ondragleave: () => place.classList.remove("over"), ondrop },
    h("p", { class: "hint" }, "Drop an image here, or choose or photograph one. It stays in this browser, which prepares it as training did and computes the prediction."),
    h("div", { class: "pair" }, input("Choose an image", null, {}), input("Take a photo", "photo", { capture: "environment" })));
  function ondragover(event) {
    event.preventDefault();
    place.classList.add("over");
  }
  function ondrop(event) {
    event.preventDefault();
    place.classList.remove("over");
    if (event.dataTransfer.files.length) show(event.dataTransfer.files[0]);
  }
  return place;
}

const share = (probability) => (probability < 0.0005 ? "< 0.1%" : format.percent(100 * probability, 1));

function words({ top: [best], prepareMs, networkMs }, notSure) {
  const why = doubt(best.probability, notSure);
  return [
    why ? [h("b", {}, "Not sure"), `: ${best.name} is the most probable class, with ${share(best.probability)}; ${why}. `] : [h("b", {}, best.name), `: ${share(best.probability)}. `],
    `Prepared in ${milliseconds(prepareMs)}, computed in ${milliseconds(networkMs)}, on one thread of this browser.`,
  ];
}

const milliseconds = (number) => (number < 10 ? `${number.toFixed(1)} ms` : number < 1000 ? `${Math.round(number)} ms` : format.duration(number / 1000));

/** The pixels that the network got. */
function picture({ pixels, side, isExact }) {
  const drawn = h("canvas", { width: side, height: side, role: "img", "aria-label": "The image as the network sees it" });
  const rgba = new Uint8ClampedArray(4 * side * side).fill(255);
  for (let place = 0; place < side * side; place += 1) rgba.set(pixels.subarray(3 * place, 3 * place + 3), 4 * place);
  drawn.getContext("2d").putImageData(new ImageData(rgba, side, side), 0, 0);
  const note = isExact ? "" : " The browser decoded this format: single pixels may differ from those of training.";
  return h("figure", {}, drawn, h("figcaption", { class: "hint" }, `What the network sees: ${side} × ${side} pixels.${note}`));
}

function classes({ top }) {
  return h("ol", { "aria-label": "The most probable classes" }, top.map(({ name, probability }) =>
    h("li", {}, h("span", { class: "name" }, name), h("span", { class: "share" }, share(probability)), h("div", { class: "bar", share: probability, "aria-hidden": "true" }))));
}

/** Computes predictions one after the other; `predict` gives null where a later image has been asked for. */
function predictions(address) {
  let worker = null;
  let asked = 0;
  let isReady = false;
  const waiting = new Map();

  function open() {
    worker = new Worker(new URL("./predict/worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      const { resolve, reject } = waiting.get(data.number);
      waiting.delete(data.number);
      isReady ||= !data.problem;
      if (data.number !== asked) resolve(null);
      else if (data.problem) reject(new Error(data.problem));
      else resolve(data);
    };
    worker.onerror = (event) => {
      for (const { reject } of waiting.values()) reject(new Error(`What computes predictions has failed: ${event.message ?? "it cannot be loaded"}`));
      stop();
    };
  }

  function stop() {
    worker?.terminate();
    worker = null;
    isReady = false;
    waiting.clear();
  }

  return {
    isOpen: () => isReady,
    predict(file) {
      if (!worker) open();
      asked += 1;
      worker.postMessage({ number: asked, address, file });
      return new Promise((resolve, reject) => waiting.set(asked, { resolve, reject }));
    },
    stop,
  };
}
