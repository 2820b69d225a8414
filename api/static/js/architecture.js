// An architecture drawn block by block: height shows channels, color shows kernel size, LightNL blocks have a cap.

import { h } from "./dom.js";
import * as format from "./format.js";
import { table } from "./parts.js";

/** Draw an architecture as the API returns it; `result`, if the search has one, says how long its layers take. */
export function architectureDrawing(architecture, result) {
  const timed = result?.layer_times_ms && Object.keys(result.layer_times_ms).length ? result : null;
  const { arch, blocks } = architecture;
  const widest = Math.max(...blocks.map((block) => block.out_channels), arch.stem_channels);
  const costliest = Math.max(...blocks.map((block) => block.macs));
  const first = blocks[0].in_size;
  const last = blocks.at(-1).out_size;
  return h(
    "div",
    { class: "architecture" },
    h(
      "ol",
      { class: "blocks scroll", "aria-label": "Blocks from input to output" },
      end("input", `${arch.resolution}²`, "pixels"),
      end("stem", "3×3", `${arch.stem_channels} ch`, `${first}²`),
      blocks.map((block, index) => blockCard(block, index, widest, costliest, index === 0 ? first : blocks[index - 1].out_size, architecture.macs, timed)),
      end("head", "1×1", `${arch.head_channels} ch`, `${last}²`),
      end("classes", String(arch.num_classes), "linear"),
    ),
    legend(blocks),
    h("p", { class: "arch-string" }, h("code", {}, architecture.arch_string)),
    h("details", {}, h("summary", {}, "MACs and parameters of every block"), costs(architecture, timed)),
  );
}

/** What every part costs, and its share; parts add up to the architecture. */
function costs({ stem, blocks, head, macs, params }, timed) {
  const times = timed?.layer_times_ms ?? {};
  const timeOf = { ...times, head: (times.head ?? 0) + (times.classifier ?? 0) };
  const whole = sumOf(times);
  const words = (block, index) => [`block ${index + 1}`, `k${block.kernel_size} e${block.expand_ratio}${block.light_nl ? " with LightNL" : ""}`, `${block.out_size}²`];
  const parts = [[["stem", "", `${blocks[0].in_size}²`], stem], ...blocks.map((block, index) => [words(block, index), block]), [["head", "with the classifier", "1²"], head]];
  const row = ([names, cost]) => [...names, cost.macs, shareOf(cost.macs, macs), cost.params, shareOf(cost.params, params),
    ...(timed ? [milliseconds(timeOf[names[0]]), shareOf(timeOf[names[0]], whole)] : [])];
  return [
    table("MACs and parameters of every block", ["part", "what", "output", "MACs", "of all", "parameters", "of all", ...(timed ? ["time", "of all"] : [])],
      [...parts.map(row), ["all", "", "", macs, "100.0%", params, "100.0%", ...(timed ? [milliseconds(whole), "100.0%"] : [])]]),
    timed ? h("p", { class: "hint" }, `Time: medians for one image in PyTorch with batch norms folded, layer by layer, on ${timed.machine.processor ?? "the machine of the search"}. Other formats and machines divide theirs otherwise.`) : null,
  ];
}

const sumOf = (times) => Object.values(times).reduce((sum, time) => sum + time, 0);
const milliseconds = (time) => `${time.toFixed(3)} ms`;

/** (3, 12) -> "25.0%". */
export const shareOf = (part, whole) => format.percent((100 * part) / whole, 1);

/** What a block is, in words. */
export const blockWords = (block) => [
  `${block.kernel_size}×${block.kernel_size} kernel, expansion ${block.expand_ratio}`,
  `${block.in_channels} to ${block.out_channels} channels, stride ${block.stride}`,
  block.se_ratio ? `squeeze-excite ratio ${block.se_ratio}` : null,
  block.light_nl ? `LightNL: ratio ${block.light_nl.nl_ratio}, stride ${block.light_nl.nl_stride}` : null,
].filter(Boolean);

/** A block as a pillar and two lines; `widest` is how many channels the highest pillar has. */
export const blockPicture = (block, widest) => [
  h("span", { class: "column" },
    h("span", { class: `pillar k${block.kernel_size}`, share: block.out_channels / widest },
      block.light_nl ? h("span", { class: "cap" }, "NL") : null,
      h("span", { class: "pillar-width" }, block.out_channels))),
  h("span", { class: "facts" }, `k${block.kernel_size} e${block.expand_ratio}`),
  h("span", { class: "facts faint" }, block.light_nl ? block.light_nl.nl_ratio : block.se_ratio ? "SE" : " "),
  h("span", { class: "facts faint" }, block.light_nl ? `s${block.light_nl.nl_stride}` : " "),
];

function blockCard(block, index, widest, costliest, sizeBefore, macs, timed) {
  const [first, ...others] = blockWords(block);
  const words = [
    `Block ${index + 1}: ${first}`,
    ...others,
    block.residual ? "residual" : "no residual",
    `${format.count(block.macs)} MACs (${shareOf(block.macs, macs)} of all), ${format.count(block.params)} parameters`,
    ...(timed ? [`${shareOf(timed.layer_times_ms[`block ${index + 1}`], sumOf(timed.layer_times_ms))} of the time of one image in PyTorch`] : []),
  ];
  return h(
    "li",
    { class: `block${block.out_size !== sizeBefore ? " shrinks" : ""}`, title: words.join("\n"), tabindex: 0, "aria-label": words.join(", ") },
    h("span", { class: "block-size" }, block.out_size !== sizeBefore ? `${block.out_size}²` : ""),
    blockPicture(block, widest),
    h("span", { class: "cost", share: block.macs / costliest }),
  );
}

function end(name, number, note, size = "") {
  return h(
    "li",
    { class: "block end" },
    h("span", { class: "block-size" }, size),
    h("span", { class: "column" }, h("span", { class: "end-box" }, number)),
    h("span", { class: "facts" }, name),
    h("span", { class: "facts faint" }, note),
    h("span", { class: "facts" }, " "),
  );
}

function legend(blocks) {
  const kernels = [...new Set(blocks.map((block) => block.kernel_size))].sort();
  return h(
    "p",
    { class: "legend" },
    kernels.map((size) => h("span", {}, h("i", { class: `swatch k${size}` }), `${size}×${size} kernel`)),
    h("span", {}, h("i", { class: "swatch cap-swatch" }), "LightNL (ratio above stride)"),
    h("span", {}, h("i", { class: "swatch cost-swatch" }), "share of MACs"),
    h("span", {}, "height: channels; k: kernel; e: expansion; n²: feature map size"),
  );
}
