// What narrows the board and puts it in order: words, status, type, tag, deleted ones. All of it is in the address.

import { choice, el, refill } from "./dom.js";
import { Lane } from "./graphql.js";
import { WIDE } from "./tabs.js";
import { learn, labelOf, nameOf } from "./status.js";

/** What an address says of it. */
export const FIND = ["search", "role", "status", "type", "tag", "deleted", "sort"];

/** What there is to choose from, by the items that were lately busy. */
const CHOICES = `query Choices($productId: ID) {
  items(first: 500, productId: $productId, filter: {deleted: null}, orderBy: {field: LAST_ACTIVITY_AT, direction: DESC}) {
    nodes { type typeLabel tags status { key label role } }
  }
}`;

const ORDERS = {
  votes: ["most votes", "VOTES"], gain: ["most gained", "VOTES_IN_WINDOW"], trend: ["trend", "TREND"], new: ["newest", "CREATED_AT"],
  changed: ["last changed", "UPDATED_AT"], active: ["last active", "LAST_ACTIVITY_AT"], waiting: ["longest in status", "TIME_IN_STATUS"],
  match: ["best match", "RELEVANCE"],
};
const ROLES = { open: "any open", roadmap: "any planned", done: "any done", declined: "any declined" };
const TYPING_MS = 200;

/** Whether anything but the order is asked for. */
export const narrows = ({ sort, ...find }) => Object.values(find).some(Boolean);

/** How the board is ordered. */
export const sortOf = ({ sort, search }) => (sort in ORDERS && (search || sort !== "match") ? sort : search ? "match" : "votes");

/** The same as arguments of `items`. */
export function itemsOf(find, window) {
  const { search, role, status, type, tag, deleted } = find;
  const filter = {
    ...(search && { search }), ...(role in ROLES && { statusRole: [role.toUpperCase()] }), ...(status && { status: { eq: status } }),
    ...(type && { type: { eq: type } }), ...(tag && { tags: { has: tag } }), ...(deleted && { deleted: deleted === "only" || null }),
  };
  const sort = sortOf(find);
  return { filter, orderBy: { field: ORDERS[sort][1], direction: "DESC" }, ...(sort === "gain" && { window: { last: window } }) };
}

export class Finder {
  #timer = 0;
  #changed;

  /** `onchange(find)` is told of a choice, and `ondown` when the reader goes from the words to what they found. */
  constructor(api, onchange, ondown) {
    Object.assign(this, { lane: new Lane(api), onchange });
    const change = () => {
      clearTimeout(this.#timer);
      this.#timer = 0;
      return (this.#changed = onchange(this.#said(this.find.sort)));
    };
    const down = async () => {
      await (this.#timer ? change() : this.#changed);
      if (document.activeElement === this.search) ondown();
    };
    this.search = el("input", {
      type: "search", placeholder: "Search ( / )", "aria-label": "Search items", "aria-keyshortcuts": "/ Control+K", spellcheck: "false",
      oninput: () => { clearTimeout(this.#timer); this.#timer = setTimeout(change, TYPING_MS); },
      onkeydown: (event) => {
        if (event.key === "ArrowDown" || event.key === "Enter") down(event.preventDefault());
        if (event.key === "Escape" && !this.search.value) this.search.blur();
      },
    });
    this.status = choice("Status", [], change);
    this.type = choice("Type", [], change);
    this.tag = choice("Tag", [], change);
    this.deleted = choice("Deleted items", [["", "not deleted"], ["too", "deleted too"], ["only", "only deleted"]], change);
    this.sort = choice("Order", Object.entries(ORDERS).map(([value, [text]]) => [value, text]), () => onchange(this.#said(this.sort.value)));
    this.clear = el("button.quiet", { onclick: () => onchange({}) }, "Clear");
    this.element = el(
      "search.finder", this.search,
      el("details", { open: WIDE.matches }, el("summary", "Filter"), el("div", this.status, this.type, this.tag, this.deleted, this.sort, this.clear)),
    );
    this.#choices = { statuses: new Set(), types: new Set(), tags: new Set() };
  }

  #choices;

  /** Show what is asked for. */
  show(find) {
    this.find = find;
    const { statuses, types, tags } = this.#choices;
    const known = (set, value) => [...new Set([...set, ...(value ? [value] : [])])].sort((a, b) => labelOf(a).localeCompare(labelOf(b)));
    const options = (select, list, chosen) => {
      const text = JSON.stringify(list);
      if (select.dataset.list !== text) refill(select, list.map(([value, words]) => el("option", { value }, words)));
      Object.assign(select.dataset, { list: text });
      select.value = chosen;
    };
    const named = (set, value) => known(set, value).map((key) => [key, labelOf(key)]);
    options(
      this.status, [["", "any status"], ...Object.entries(ROLES).map(([role, words]) => [`role ${role}`, words]), ...named(statuses, find.status)],
      find.status ?? (find.role in ROLES ? `role ${find.role}` : ""),
    );
    options(this.type, [["", "any type"], ...named(types, find.type)], find.type ?? "");
    options(this.tag, [["", "any tag"], ...named(tags, find.tag)], find.tag ?? "");
    this.deleted.value = find.deleted ?? "";
    this.sort.value = sortOf(find);
    if (document.activeElement !== this.search) this.search.value = find.search ?? "";
    this.clear.hidden = !Object.values(find).some(Boolean);
    if (narrows({ ...find, search: "" })) this.element.lastChild.open = true;
  }

  /** Learn what there is to choose from. */
  async learn(productId) {
    const answer = await this.lane.ask(CHOICES, { productId }).catch(() => null);
    if (!answer) return;
    const [statuses, types, tags] = [new Set(), new Set(), new Set()];
    for (const item of answer.data.items.nodes) {
      if (item.status) statuses.add(item.status.key, nameOf(item.status));
      if (item.type) types.add(item.type, learn(item.type, item.typeLabel));
      for (const tag of item.tags ?? []) tags.add(tag);
    }
    this.#choices = { statuses, types, tags };
    this.show(this.find ?? {});
  }

  focus() {
    this.search.focus();
    this.search.select();
  }

  /** What is asked for; an order that it has by itself need not be said. */
  #said(sort) {
    const role = this.status.value.startsWith("role ") ? this.status.value.slice(5) : "";
    const find = {
      search: this.search.value.trim(), role, status: role ? "" : this.status.value, type: this.type.value, tag: this.tag.value,
      deleted: this.deleted.value,
    };
    const said = { ...find, sort: sort !== sortOf({ search: find.search }) && sort };
    return Object.fromEntries(Object.entries(said).filter(([, value]) => value));
  }
}
