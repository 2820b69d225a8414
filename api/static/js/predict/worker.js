// Predictions beside the page, which therefore never waits: a message with an image file is answered by its classes.

import { readMetadata } from "./onnx_metadata.js";
import { isExact, normalised, prepare } from "./prepare.js";
import { ranked } from "./ranking.js";

const RUNTIME = "../../runtime/ort.wasm.bundle.min.mjs";
const PIXELS = "uint8"; // the type of an input whose network normalises

let network = null; // a promise: the first image brings the runtime and the network, others wait for them

/** {runtime, session, classes, preprocess} of the ONNX file at `address`. */
async function open(address) {
  const [runtime, bytes] = await Promise.all([loadRuntime(), load(address)]);
  const { classes, preprocess } = readMetadata(bytes);
  if (!classes || !preprocess) throw new Error("The ONNX file does not say how images are prepared for it: an earlier version made it.");
  runtime.env.wasm.numThreads = 1;
  const session = await runtime.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  return { runtime, session, classes: JSON.parse(classes), preprocess: JSON.parse(preprocess) };
}

async function loadRuntime() {
  try {
    return await import(RUNTIME);
  } catch (error) {
    throw new Error(`The runtime of predictions cannot be loaded: ${error.message}`);
  }
}

async function load(address) {
  let answer;
  try {
    answer = await fetch(address);
  } catch {
    throw new Error("The network cannot be loaded: the service does not respond, or has it sent by another host.");
  }
  if (!answer.ok) throw new Error(`The network cannot be loaded (status ${answer.status}).`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** The logits of prepared pixels, one for each class. */
async function logitsOf({ runtime, session, preprocess }, pixels) {
  const [input, output] = [session.inputNames[0], session.outputNames[0]];
  const side = preprocess.resolution;
  const type = session.inputMetadata[0].type;
  const tensor = type === PIXELS ? new runtime.Tensor(PIXELS, pixels, [1, side, side, 3])
    : new runtime.Tensor("float32", normalised(pixels, preprocess), [1, 3, side, side]);
  const answer = await session.run({ [input]: tensor });
  return answer[output].data;
}

async function predict({ address, file }) {
  network ??= open(address).catch((problem) => {
    network = null; // the next image tries again
    throw problem;
  });
  const opened = await network;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const began = performance.now();
  let pixels;
  try {
    pixels = await prepare(bytes, opened.preprocess);
  } catch (problem) {
    throw new Error(`${file.name || "The image"} cannot be used: ${problem.message}.`);
  }
  const prepared = performance.now();
  const logits = await logitsOf(opened, pixels);
  const times = { prepareMs: prepared - began, networkMs: performance.now() - prepared };
  return { top: ranked(logits, opened.classes), pixels, side: opened.preprocess.resolution, isExact: isExact(bytes), ...times };
}

globalThis.onmessage = async ({ data }) => {
  try {
    postMessage({ number: data.number, ...(await predict(data)) });
  } catch (problem) {
    postMessage({ number: data.number, problem: problem.message });
  }
};
