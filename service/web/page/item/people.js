// Who voted for an item and who follows it: since when, and who does no longer.

import { badge, el } from "../dom.js";
import { Section } from "../section.js";
import { asOf } from "../moment.js";
import { date, number } from "../format.js";

const VOTERS = `query Voters($sleekplanId: ID!, $productId: ID, $asOf: AsOf) {
  item(sleekplanId: $sleekplanId, productId: $productId, asOf: $asOf) {
    castVotes(first: 500, filter: {withdrawn: null}, orderBy: {field: CAST_AT, direction: DESC}) {
      totalCount
      nodes { value castAt withdrawnAt user { name teamMember } }
    }
  }
}`;

const FOLLOWERS = `query Followers($sleekplanId: ID!, $productId: ID, $asOf: AsOf) {
  item(sleekplanId: $sleekplanId, productId: $productId, asOf: $asOf) {
    subscriptions(first: 500, filter: {active: null}, orderBy: {field: SINCE, direction: DESC}) {
      totalCount
      nodes { active since user { name teamMember } }
    }
  }
}`;

const asking = (page, document) => ({ moment, item }) => ({
  document, variables: { ...page.naming(item), asOf: asOf(moment) }, how: { fixed: !moment.live },
});

export function voters(page) {
  return new Section("Voters", page, asking(page, VOTERS), ({ item: { castVotes } }) => [
    castVotes.totalCount ? table("Voters", ["Who", "Vote", "When"], castVotes.nodes.map(vote)) : el("p.quiet", "No event told of a vote."),
    rest(castVotes),
  ]);
}

export function followers(page) {
  return new Section("Subscribers", page, asking(page, FOLLOWERS), ({ item: { subscriptions } }) => [
    subscriptions.totalCount ? table("Subscribers", ["Who", "Follows"], subscriptions.nodes.map(follows)) : el("p.quiet", "No event told of a subscriber."),
    rest(subscriptions),
  ]);
}

function vote({ value, castAt, withdrawnAt, user }) {
  const way = value == null ? "not told" : value > 0 ? "for" : "against";
  return el(
    "tr", withdrawnAt && { class: "gone" },
    el("th", { scope: "row" }, who(user)), el("td", way),
    el("td", date(castAt), withdrawnAt && ` to ${date(withdrawnAt)}, withdrawn`),
  );
}

function follows({ active, since, user }) {
  return el("tr", !active && { class: "gone" }, el("th", { scope: "row" }, who(user)), el("td", active ? `since ${date(since)}` : `no longer since ${date(since)}`));
}

function who(user) {
  return [user?.name ?? badge("voter unknown", "Sleekplan did not say who"), user?.teamMember && [" ", badge("team", "A member of the team")]];
}

function table(name, heads, rows) {
  return el("table.people", { "aria-label": name }, el("thead", el("tr", heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", rows));
}

function rest({ totalCount, nodes }) {
  return totalCount > nodes.length && el("p.quiet", `The newest ${number(nodes.length)} of ${number(totalCount)}; the query behind this gives the rest.`);
}
