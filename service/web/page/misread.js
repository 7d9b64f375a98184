// Says in words what of an address is not followed.

import { number } from "./format.js";

const WORDS = {
  position: (position) => `The address names the position ${position}, and positions are 1, 2, 3 and so on.`,
  time: (time) => `The address names the time ${time}, which is none; one is 2026-03-02T10:00:00Z.`,
  clock: (clock) => `The address names the clock ${clock}; there are occurred and recorded.`,
  unplaced: () => "The address names a time on our own clock, which needs a position.",
  beyond: (position, head) => `The address names the position ${number(position)}, and the log ends at ${number(head)}.`,
  ahead: (time) => `The address names the time ${time}, which is yet to come.`,
};

/** Say what of an address is not followed; a product that cannot be shown makes way for those that can. */
export function misread(page, problem, ...values) {
  if (problem !== "product") return page.notice(`${WORDS[problem](...values)} This is the board as it is now.`);
  const [{ message }] = values;
  page.notice(`The address names the product ${page.product}, which cannot be shown (${message}). This is what can.`);
  page.product = undefined;
  page.start();
}
